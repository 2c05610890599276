// An Engine in memory that knows what a crash would leave of it: what was written after the last Flush is lost. It can be told to
// fail.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "worker/store/engine.h"

namespace coho::test {

class MemoryEngine final : public Engine {
 public:
  struct Content {
    std::map<std::string, std::string, std::less<>> values;
    std::optional<StoreMarker> marker;
  };
  // What outlives the engine: `flushed` is the disk.
  struct Disk {
    Content flushed;
  };
  explicit MemoryEngine(Disk* disk) : disk_(disk), content_(disk->flushed) {}

  Result<bool> Get(std::string_view key, std::string* value) override {
    ++gets;
    if (!failure.ok()) return failure;
    const auto it = content_.values.find(key);
    if (it == content_.values.end()) return false;
    *value = it->second;
    return true;
  }
  std::unique_ptr<StoreIterator> Range(std::string_view from, std::string_view to) override {
    return std::make_unique<Iterator>(content_, from, to);
  }
  Status Write(std::span<const EngineWrite> writes, const StoreMarker& marker) override {
    if (!failure.ok()) return failure;
    ++batches;
    for (const EngineWrite& write : writes) {
      if (write.remove) {
        content_.values.erase(std::string(write.key));
      } else {
        content_.values.insert_or_assign(std::string(write.key), write.value);
      }
    }
    content_.marker = marker;
    return Status::Ok();
  }
  Status Flush() override {
    disk_->flushed = content_;
    return Status::Ok();
  }
  Result<std::optional<StoreMarker>> ReadMarker() override { return content_.marker; }
  int64_t SizeBytes() const override { return static_cast<int64_t>(content_.values.size()); }

  [[nodiscard]] const Content& content() const { return content_; }
  Status failure;
  int gets = 0;
  int batches = 0;

 private:
  class Iterator final : public StoreIterator {
   public:
    Iterator(Content content, std::string_view from, std::string_view to)
        : content_(std::move(content)), it_(content_.values.lower_bound(from)), to_(to) {}
    bool Valid() const override {
      return it_ != content_.values.end() && (to_.empty() || it_->first < to_);
    }
    void Next() override { ++it_; }
    std::string_view key() const override { return it_->first; }
    std::string_view value() const override { return it_->second; }
    Status status() const override { return Status::Ok(); }

   private:
    const Content content_;  // a snapshot
    decltype(content_.values)::const_iterator it_;
    std::string to_;
  };

  Disk* disk_;
  Content content_;
};

}  // namespace coho::test
