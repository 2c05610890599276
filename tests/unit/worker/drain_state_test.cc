#include "worker/drain_state.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace coho {
namespace {

using std::chrono::seconds;
using End = DrainOrders::End;

// A process that is looked at now and then.
class Process {
 public:
  DrainOrders Look(Duration after, DrainFacts facts = {}) {
    now_ += after;
    facts.now = now_;
    return state_.On(facts);
  }

 private:
  DrainState state_;
  MonotonicTime now_ = MonotonicTime(seconds(1000));
};

DrainFacts Signal() { return {.signals = 1}; }
DrainFacts Drained() { return {.drained = true, .ended = true}; }
DrainFacts Ended() { return {.ended = true}; }
DrainFacts Failed() { return {.failure = Failure{kExitTaskFailed, "record 7 of words-0"}}; }

bool Nothing(const DrainOrders& orders) {
  return !orders.tell && !orders.drain && !orders.give_up && orders.end == End::kNotYet;
}

TEST_CASE("DrainState: a worker that serves is let be") {
  Process process;
  CHECK(Nothing(process.Look(seconds(0))));
  CHECK(Nothing(process.Look(std::chrono::hours(1))));
}

TEST_CASE("DrainState: a signal drains once, and what is drained ends with 0") {
  Process process;
  const DrainOrders first = process.Look(seconds(5), Signal());
  CHECK(first.drain == kDrainMost);
  CHECK_FALSE(first.tell);
  CHECK(first.end == End::kNotYet);
  CHECK(Nothing(process.Look(seconds(20))));
  const DrainOrders last = process.Look(seconds(1), Drained());
  CHECK(last.end == End::kReturn);
  CHECK(last.exit_code == kExitOk);
  CHECK_FALSE(last.tell);
}

TEST_CASE("DrainState: a second signal ends at once, whatever is under way") {
  for (const DrainFacts& begin : {Signal(), Failed()}) {
    Process process;
    CHECK(process.Look(seconds(0), begin).drain);
    DrainFacts again = Drained();
    again.signals = 1;
    const DrainOrders orders = process.Look(seconds(1), again);
    CHECK(orders.end == End::kExit);
    CHECK(orders.exit_code == 143);
  }
}

TEST_CASE("DrainState: a failure is told once, drains for a shorter time and is the exit code") {
  Process process;
  const DrainOrders first = process.Look(seconds(5), Failed());
  REQUIRE(first.tell);
  CHECK(first.tell->message == "record 7 of words-0");
  CHECK(first.drain == kDrainMostAfterFailure);
  CHECK(Nothing(process.Look(seconds(1), Failed())));  // it goes on being failed
  DrainFacts drained = Failed();
  drained.drained = true;
  const DrainOrders last = process.Look(seconds(1), drained);
  CHECK(last.end == End::kReturn);
  CHECK(last.exit_code == kExitTaskFailed);
  CHECK_FALSE(last.tell);
}

TEST_CASE("DrainState: a failure while draining is told, and does not begin the drain anew") {
  Process process;
  CHECK(process.Look(seconds(0), Signal()).drain);
  const DrainOrders failed = process.Look(seconds(2), Failed());
  CHECK(failed.tell);
  CHECK_FALSE(failed.drain);
  // The signal's time holds, not the failure's.
  CHECK(Nothing(process.Look(seconds(22), Failed())));
  const DrainOrders over = process.Look(seconds(1), Failed());
  CHECK(over.give_up);
  CHECK_FALSE(over.tell);
}

TEST_CASE("DrainState: a failure that was seen together with the end of the drain counts") {
  Process process;
  CHECK(process.Look(seconds(0), Signal()).drain);
  DrainFacts both = Failed();
  both.drained = true;
  const DrainOrders orders = process.Look(seconds(1), both);
  CHECK(orders.tell);
  CHECK(orders.end == End::kReturn);
  CHECK(orders.exit_code == kExitTaskFailed);
}

TEST_CASE("DrainState: a drain that takes too long is given up on, and says what that means") {
  Process process;
  CHECK(process.Look(seconds(0), Signal()).drain);
  CHECK(Nothing(process.Look(kDrainMost - seconds(1))));
  const DrainOrders over = process.Look(seconds(1));
  REQUIRE(over.tell);
  CHECK(over.tell->exit_code == kExitKafkaUnavailable);
  CHECK(over.tell->message.find("replayed at the next start") != std::string::npos);
  CHECK(over.give_up);
  CHECK(over.end == End::kNotYet);
  CHECK(Nothing(process.Look(seconds(1))));

  SUBCASE("run loops that end let the process return") {
    const DrainOrders orders = process.Look(seconds(1), Ended());
    CHECK(orders.end == End::kReturn);
    CHECK(orders.exit_code == kExitKafkaUnavailable);
  }
  SUBCASE("user code that does not come back is left behind") {
    const DrainOrders orders = process.Look(kGiveUpMost - seconds(1));
    CHECK(orders.end == End::kExit);
    CHECK(orders.exit_code == kExitKafkaUnavailable);
  }
}

TEST_CASE("DrainState: giving up after a failure keeps the failure's exit code") {
  Process process;
  CHECK(process.Look(seconds(0), Failed()).tell);
  const DrainOrders over = process.Look(kDrainMostAfterFailure, Failed());
  CHECK(over.give_up);
  CHECK_FALSE(over.tell);
  const DrainOrders last = process.Look(kGiveUpMost, Failed());
  CHECK(last.end == End::kExit);
  CHECK(last.exit_code == kExitTaskFailed);
}

TEST_CASE("DrainState: what is drained is drained, however late it is seen") {
  Process process;
  CHECK(process.Look(seconds(0), Signal()).drain);
  const DrainOrders orders = process.Look(std::chrono::minutes(10), Drained());
  CHECK(orders.end == End::kReturn);
  CHECK(orders.exit_code == kExitOk);
}

}  // namespace
}  // namespace coho
