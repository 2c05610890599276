// How a worker's process comes to its end: a signal or a failure begins the drain, the drain ends
// by itself or is given up on, and who has given up does not wait for ever, either.
//
//   serving ──signal, failure──► draining ──deadline──► given up ──kGiveUpMost──► exit at once
//                                    └── drained: end      └── ended: end
//
// Pure: what was seen goes in, what is to be done comes out. Thread rule: one thread.
#pragma once

#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/contract/exit_codes.h"

namespace coho {

// Why a worker cannot go on.
struct Failure {
  int exit_code = kExitOk;
  std::string message;
};

// Below Kubernetes' default grace period of 30 s.
inline constexpr Duration kDrainMost = std::chrono::seconds(25);
inline constexpr Duration kDrainMostAfterFailure = std::chrono::seconds(5);
// Until the threads have noticed that nothing is waited for any more.
inline constexpr Duration kGiveUpMost = std::chrono::seconds(3);

// To be gathered in this order: a failure that came before the end of the drain is then in.
struct DrainFacts {
  int signals = 0;       // SIGTERM and SIGINT since the last time
  bool drained = false;  // everything is committed and closed
  bool ended = false;    // no run loop does anything any more
  std::optional<Failure> failure;
  MonotonicTime now;
};

// In this order.
struct DrainOrders {
  std::optional<Failure> tell;    // why the worker ends with this code; once
  std::optional<Duration> drain;  // commit and close everything, for so long at most
  bool give_up = false;           // wait for nothing any more
  enum class End {
    kNotYet,
    kReturn,  // with destructors
    kExit,    // without: user code does not come back, or somebody insists
  };
  End end = End::kNotYet;
  int exit_code = kExitOk;
};

class DrainState {
 public:
  [[nodiscard]] DrainOrders On(const DrainFacts& facts);

 private:
  [[nodiscard]] bool draining() const { return deadline_.has_value(); }

  int exit_code_ = kExitOk;
  bool gave_up_ = false;
  std::optional<MonotonicTime> deadline_;
};

}  // namespace coho
