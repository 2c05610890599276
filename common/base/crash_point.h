// Named places where a test ends the process as a power cut would: COHO_CRASH_AT=commit/sent:3
// makes it kill itself, without any clean-up, the third time that it comes by commit/sent (without
// a number: the first time).
//
//   CrashPoint("commit/sent");
//
// Always compiled in, so that what the tests crash is the binary that ships; points lie on paths of
// a commit or a restore, not of a record, where a look at a constant costs nothing. The environment
// is read once. Thread rule: any thread.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <string_view>

namespace coho {

class PlannedCrash {
 public:
  explicit PlannedCrash(const char* plan) {
    if (plan == nullptr) return;
    const std::string_view text(plan);
    const size_t colon = text.find(':');
    point_ = text.substr(0, colon);
    if (colon != std::string_view::npos) left_ = std::atoi(plan + colon + 1);
  }
  // True once: when the point has been passed as often as planned.
  [[nodiscard]] bool Passed(std::string_view point) {
    return !point_.empty() && point == point_ && left_.fetch_sub(1) == 1;
  }

 private:
  std::string point_;
  std::atomic<int> left_ = 1;
};

inline void CrashPoint(std::string_view point) {
  static PlannedCrash planned(std::getenv("COHO_CRASH_AT"));
  if (!planned.Passed(point)) return;
  // SIGKILL, so that no handler, no destructor and no buffer of ours gets a say.
  static_cast<void>(::kill(::getpid(), SIGKILL));
  for (;;) ::pause();
}

}  // namespace coho
