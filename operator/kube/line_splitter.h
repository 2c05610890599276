// Cuts a stream of chunks into its lines, wherever the chunks' borders fall. Thread-compatible.
#pragma once

#include <string>
#include <string_view>

namespace coho::kube {

class LineSplitter {
 public:
  explicit LineSplitter(size_t longest_line) : longest_line_(longest_line) {}

  // Calls on_line(std::string_view) for each line that `chunk` completes, without its end; empty
  // lines are passed over. False when on_line returned false, or when a line grows beyond the
  // limit: then the stream is of no use any more.
  template <class OnLine>
  [[nodiscard]] bool Feed(std::string_view chunk, OnLine&& on_line) {
    while (!chunk.empty()) {
      const size_t end = chunk.find('\n');
      if (end == std::string_view::npos) {
        if (begun_.size() + chunk.size() > longest_line_) return false;
        begun_.append(chunk);
        return true;
      }
      std::string_view line = chunk.substr(0, end);
      chunk.remove_prefix(end + 1);
      if (!begun_.empty()) {
        if (begun_.size() + line.size() > longest_line_) return false;
        begun_.append(line);
        line = begun_;
      }
      const bool go_on = line.empty() || on_line(line);
      begun_.clear();
      if (begun_.capacity() > kKeptCapacity) begun_.shrink_to_fit();
      if (!go_on) return false;
    }
    return true;
  }

 private:
  static constexpr size_t kKeptCapacity =
      64 * 1024;  // one large object must not cost memory for ever
  const size_t longest_line_;
  std::string begun_;
};

}  // namespace coho::kube
