#include "worker/drain_state.h"

#include <csignal>

namespace coho {

DrainOrders DrainState::On(const DrainFacts& facts) {
  using End = DrainOrders::End;
  DrainOrders orders;
  const auto end = [&](End how) {
    orders.end = how;
    orders.exit_code = exit_code_;
    return orders;
  };
  const auto fail = [&](const Failure& failure) {
    exit_code_ = failure.exit_code;
    orders.tell = failure;
  };
  const auto drain = [&](Duration most) {
    deadline_ = facts.now + most;
    orders.drain = most;
  };

  if (facts.signals > 0 && draining()) {
    exit_code_ = 128 + SIGTERM;
    return end(End::kExit);
  }
  if (facts.signals > 0) drain(kDrainMost);
  if (facts.failure && exit_code_ == kExitOk) {
    fail(*facts.failure);
    if (!draining()) drain(kDrainMostAfterFailure);
  }
  if (facts.drained) return end(End::kReturn);
  if (!gave_up_ && draining() && facts.now >= *deadline_) {
    if (exit_code_ == kExitOk) {
      fail({kExitKafkaUnavailable,
            "not everything could be committed in time; the rest is replayed at the next start"});
    }
    gave_up_ = orders.give_up = true;
  }
  // Nothing on disk needs a destructor: what counts is the last flush.
  if (gave_up_ && facts.ended) return end(End::kReturn);
  if (gave_up_ && facts.now >= *deadline_ + kGiveUpMost) return end(End::kExit);
  return orders;
}

}  // namespace coho
