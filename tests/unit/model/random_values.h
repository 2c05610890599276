// Random jobs, assignments and heartbeats for property tests.
#pragma once

#include <doctest/doctest.h>

#include <random>
#include <string>

#include "common/model/assignment.h"
#include "common/model/job.h"
#include "tests/support/seed.h"

namespace coho::test {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  int64_t Int(int64_t min, int64_t max) {
    return std::uniform_int_distribution<int64_t>(min, max)(engine_);
  }
  bool Flip() { return Int(0, 1) == 1; }
  template <class E>
  E Enum(E last) {
    return static_cast<E>(Int(0, static_cast<int64_t>(last)));
  }
  std::string Label(int64_t longest) {
    std::string text = Chars("abcdefghijklmnopqrstuvwxyz0123456789-", Int(1, longest));
    text.front() = 'a';
    text.back() = 'z';
    return text;
  }
  std::string Topic() {
    return "t" + Chars("abcXYZ019._-", Int(0, 40)) + std::to_string(Int(0, 1'000'000'000));
  }
  // Also what must be escaped, and characters beyond ASCII.
  std::string Text() {
    static const std::string kPieces[] = {"a",    "Z", "0",  " ", "\"", "\\", "\n", "\t",
                                          "\x01", "é", "漢", "🐟", ":",  "{",  "#",  "'"};
    std::string text;
    for (int64_t n = Int(0, 12); n > 0; --n) text += kPieces[Int(0, 15)];
    return text;
  }
  Duration Time(Duration min, Duration max) { return Duration(Int(min.count(), max.count())); }

  Job MakeJob();
  Assignment MakeAssignment();
  WorkerCopies MakeCopies();
  Heartbeat MakeHeartbeat();

 private:
  std::string Chars(std::string_view from, int64_t n) {
    std::string text;
    for (; n > 0; --n)
      text += from[static_cast<size_t>(Int(0, static_cast<int64_t>(from.size()) - 1))];
    return text;
  }
  std::vector<TaskId> Tasks();
  std::vector<std::string> Texts();
  std::vector<StoreCopy> StoreCopies();
  std::vector<TaskReport> Reports();

  std::mt19937_64 engine_;
};

}  // namespace coho::test
