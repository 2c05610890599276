#include "common/base/clock.h"

#include <time.h>

namespace coho {
namespace {

class RealClock final : public Clock {
 public:
  // Goes on while the machine sleeps: a lease or a session must not outlive a suspended machine.
  [[nodiscard]] MonotonicTime Now() const override {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return MonotonicTime(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
  }
  [[nodiscard]] WallTime WallNow() const override { return std::chrono::system_clock::now(); }
};

}  // namespace

const Clock& Clock::Real() {
  static const RealClock clock;
  return clock;
}

}  // namespace coho
