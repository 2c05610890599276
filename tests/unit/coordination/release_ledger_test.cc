#include "common/coordination/release_ledger.h"

#include <doctest/doctest.h>

#include "tests/support/dies.h"

namespace coho {
namespace {

const WorkerId kA(0);
const WorkerId kB(1);
const TaskId kTask(0);

Assignment Recorded() {
  Assignment assignment;
  assignment.generation = Generation(5);
  assignment.workers[kA] = {Generation(5), {}, {}, {"a-0", "a-1"}};
  assignment.workers[kB] = {Generation(2), {}, {}, {"b-0"}};
  return assignment;
}

TEST_CASE("release: a task waits until every recorded id of its former owner is proven") {
  ReleaseLedger ledger;
  ledger.Revoked(kTask, kA, Generation(5));
  CHECK_FALSE(ledger.MayGrant(kTask, kB));
  CHECK(ledger.MayGrant(kTask, kA));  // back to whom it was taken from
  ledger.Prove(kA, {"a-0"}, Generation(5));
  ledger.Prove(kA, {"a-1"}, Generation(4));
  ledger.Settle(Recorded());
  CHECK_FALSE(ledger.MayGrant(kTask, kB));
  CHECK(ledger.Unproven(kA, Recorded().workers.at(kA), Generation(5)) ==
        std::vector<std::string>{"a-1"});
  ledger.Prove(kA, {"a-1"}, Generation(6));
  ledger.Settle(Recorded());
  CHECK(ledger.MayGrant(kTask, kB));
  CHECK(ledger.Awaited().empty());
}

TEST_CASE("release: after a restart any recorded worker may have a task without owner") {
  ReleaseLedger ledger(Recorded(), 2, true);
  CHECK(ledger.Awaited().size() == 2);
  CHECK_FALSE(ledger.MayGrant(kTask, kA));
  ledger.Prove(kB, {"b-0"}, Generation(2));
  ledger.Settle(Recorded());
  CHECK(ledger.MayGrant(kTask, kA));
  CHECK_FALSE(ledger.MayGrant(kTask, kB));
  ledger.Prove(kA, {"a-0", "a-1"}, Generation(5));
  ledger.Settle(Recorded());
  CHECK(ledger.MayGrant(kTask, kB));
}

TEST_CASE(
    "release: nothing is in doubt when every task has an owner, or nobody was ever recorded") {
  Assignment assignment = Recorded();
  assignment.workers[kA].active = {TaskId(0), TaskId(1)};
  CHECK(ReleaseLedger(assignment, 2, true).Awaited().empty());
  CHECK(ReleaseLedger(Assignment(), 2, true).MayGrant(kTask, kA));
}

TEST_CASE("release: without transactions a task does not even go back before it is released") {
  Assignment assignment = Recorded();
  assignment.workers[kA].active = {TaskId(0), TaskId(1)};
  ReleaseLedger ledger(assignment, 2, false);
  ledger.Revoked(kTask, kA, Generation(5));
  CHECK_FALSE(ledger.MayGrant(kTask, kA));
  ledger.Prove(kA, {"a-0", "a-1"}, Generation(5));
  ledger.Settle(Recorded());
  CHECK(ledger.MayGrant(kTask, kA));
}

TEST_CASE("release: what would give a task two owners ends the process, and says which") {
  const auto says = [](const std::function<void()>& act, const std::string& what) {
    const std::string words = test::LastWordsOf(act);
    CAPTURE(words);
    CHECK(words.find(what) != std::string::npos);
  };
  ReleaseLedger ledger;
  ledger.Revoked(kTask, kA, Generation(5));
  says([&] { ledger.Granted(kTask, kB); },
       "task 0 was granted to worker 1 while another may write for it");
  says([&] { ledger.Revoked(kTask, kB, Generation(6)); },
       "task 0 is revoked from worker 1, and worker 0 has not released it yet");
  says([&] { ledger.Settle(Assignment()); },
       "task 0 was revoked in generation 5, the assignment is of 0");
  CHECK(test::LastWordsOf([&] { ledger.Granted(kTask, kA); }).empty());
}

}  // namespace
}  // namespace coho
