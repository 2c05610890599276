#include "worker/member/member_state.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>

namespace coho {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

MonotonicTime At(Duration d) { return MonotonicTime(d); }

const MemberOptions kOptions = {
    .incarnation = "me", .transactional_ids = {"p-0", "p-1"}, .loops = 2};

WorkerAssignment Mine(int64_t generation, std::vector<int32_t> tasks,
                      std::vector<std::string> ids = {"p-0", "p-1"}) {
  WorkerAssignment out{.generation = Generation(generation), .transactional_ids = std::move(ids)};
  for (const int32_t task : tasks) out.active.push_back(TaskId(task));
  return out;
}

MemberAssignment Gen(int64_t generation, std::optional<WorkerAssignment> mine) {
  return {.generation = Generation(generation),
          .life = "l",
          .mine = std::move(mine),
          .missing_in_model = ""};
}

template <class Action>
std::vector<Action> Only(const MemberActions& actions) {
  std::vector<Action> out;
  for (const MemberAction& action : actions) {
    if (const auto* found = std::get_if<Action>(&action)) out.push_back(*found);
  }
  return out;
}

std::vector<int32_t> Granted(const MemberActions& actions) {
  std::vector<int32_t> out;
  for (const GrantTask& grant : Only<GrantTask>(actions)) out.push_back(grant.task.value());
  return out;
}

// A member that runs these tasks by generation 1.
struct Running {
  explicit Running(std::vector<int32_t> tasks) : state(kOptions, At(seconds(0))) {
    CHECK(state.OnLoopReady(1, 0, now).empty());
    const auto read = Only<ReadToEnd>(state.OnLoopReady(0, 0, now));
    REQUIRE(read.size() == 1);
    (void)state.OnAssignment(Gen(1, Mine(1, std::move(tasks))), now);
    for (const GrantTask& g : Only<GrantTask>(state.OnCaughtUp(read[0].number, now)))
      grants[g.task] = g;
  }
  MemberActions Close(int32_t task) {
    return state.OnTaskClosed(TaskId(task), grants.at(TaskId(task)).grant, now);
  }

  // Every loop commits what it was asked to prove.
  void ProveAll() {
    for (int32_t loop : {0, 1}) (void)state.OnLoopProved(loop, state.generation(), now);
  }
  // A fenced loop: it looks whether it was replaced, then all join again. Returns the number of the
  // reading that counts.
  int64_t Rejoin(int32_t loop) {
    const auto look = Only<ReadToEnd>(state.OnLoopFenced(loop, true, join, now));
    REQUIRE(look.size() == 1);
    CHECK(Only<RejoinLoop>(state.OnCaughtUp(look[0].number, now)).size() == 2);
    ++join;
    CHECK(state.OnLoopReady(0, join, now).empty());
    return Only<ReadToEnd>(state.OnLoopReady(1, join, now)).at(0).number;
  }

  MonotonicTime now = At(seconds(1));
  MemberState state;
  int64_t join = 0;
  std::map<TaskId, GrantTask> grants;
};

TEST_CASE(
    "MemberState: starts nothing before the topic was read to its end after the producers were "
    "initialised") {
  MemberState state(kOptions, At(seconds(0)));
  // What was read before counts for nothing: an older self may have been writing.
  CHECK(Granted(state.OnAssignment(Gen(4, Mine(4, {0, 1, 2})), At(seconds(1)))).empty());
  CHECK(Granted(state.OnCaughtUp(0, At(seconds(1)))).empty());
  CHECK(state.OnLoopReady(0, 0, At(seconds(2))).empty());  // the other producer is still to come
  const auto read = Only<ReadToEnd>(state.OnLoopReady(1, 0, At(seconds(2))));
  REQUIRE(read.size() == 1);
  CHECK(state.phase() == WorkerPhase::kStarting);

  const MemberActions actions = state.OnCaughtUp(read[0].number, At(seconds(3)));
  CHECK(Granted(actions) == std::vector<int32_t>{0, 1, 2});
  CHECK(state.phase() == WorkerPhase::kRunning);
  CHECK(state.acknowledged() == Generation(4));
}

TEST_CASE("MemberState: spreads tasks over its loops") {
  Running member({0, 1, 2, 3});
  std::array<int, 2> per_loop{};
  for (const auto& [task, grant] : member.grants) ++per_loop[static_cast<size_t>(grant.loop)];
  CHECK(per_loop == std::array<int, 2>{2, 2});
}

TEST_CASE("MemberState: does not process before its transactional ids are recorded") {
  MemberState state(kOptions, At(seconds(0)));
  (void)state.OnLoopReady(0, 0, At(seconds(1)));
  const auto read = Only<ReadToEnd>(state.OnLoopReady(1, 0, At(seconds(1))));
  (void)state.OnCaughtUp(read[0].number, At(seconds(1)));
  CHECK(Granted(state.OnAssignment(Gen(1, Mine(1, {0}, {"p-0"})), At(seconds(1)))).empty());
  CHECK_FALSE(state.named());
  CHECK(Granted(state.OnAssignment(Gen(2, Mine(2, {0})), At(seconds(2)))) ==
        std::vector<int32_t>{0});
  CHECK(state.named());
}

TEST_CASE("MemberState: a lower or equal generation is never obeyed") {
  Running member({0, 1});
  (void)member.state.OnAssignment(Gen(5, Mine(5, {0, 1})), member.now);
  CHECK(member.state.OnAssignment(Gen(5, Mine(5, {})), member.now).empty());
  CHECK(member.state.OnAssignment(Gen(4, std::nullopt), member.now).empty());
  CHECK(member.state.given() == std::set<TaskId>{TaskId(0), TaskId(1)});
}

TEST_CASE("MemberState: acknowledges a revocation only when every revoked task is closed") {
  Running member({0, 1, 2});
  const MemberActions revoked = member.state.OnAssignment(Gen(2, Mine(2, {1})), member.now);
  CHECK(Only<RevokeTask>(revoked).size() == 2);
  CHECK(Only<SendHeartbeat>(revoked).empty());
  CHECK(member.state.acknowledged() == Generation(1));

  CHECK(Only<SendHeartbeat>(member.Close(0)).empty());
  const auto beats = Only<SendHeartbeat>(member.Close(2));
  REQUIRE(beats.size() == 1);  // at once, not with the next regular one
  CHECK(beats[0].acknowledged == Generation(2));
}

TEST_CASE("MemberState: an assignment that takes nothing away is acknowledged at once") {
  Running member({0});
  const MemberActions actions = member.state.OnAssignment(Gen(2, Mine(1, {0, 3})), member.now);
  CHECK(Granted(actions) == std::vector<int32_t>{3});
  CHECK(Only<SendHeartbeat>(actions).size() == 1);
  CHECK(member.state.acknowledged() == Generation(2));
}

TEST_CASE("MemberState: a worker that an assignment no longer names gives everything up") {
  Running member({0, 1});
  CHECK(Only<RevokeTask>(member.state.OnAssignment(Gen(2, std::nullopt), member.now)).size() == 2);
  (void)member.Close(0);
  (void)member.Close(1);
  CHECK(member.state.acknowledged() == Generation(2));
}

TEST_CASE("MemberState: a task that is taken and given back is closed first, then granted anew") {
  Running member({0});
  (void)member.state.OnAssignment(Gen(2, Mine(2, {})), member.now);
  CHECK(Granted(member.state.OnAssignment(Gen(3, Mine(3, {0})), member.now)).empty());
  CHECK(member.state.acknowledged() == Generation(1));
  const MemberActions closed = member.Close(0);
  CHECK(Granted(closed) == std::vector<int32_t>{0});
  CHECK(member.state.acknowledged() == Generation(3));
}

TEST_CASE("MemberState: a late answer to an earlier grant closes nothing") {
  Running member({0});
  const GrantTask first = member.grants.at(TaskId(0));
  (void)member.state.OnAssignment(Gen(2, Mine(2, {})), member.now);
  (void)member.state.OnAssignment(Gen(3, Mine(3, {0})), member.now);
  (void)member.Close(0);  // granted anew
  (void)member.state.OnAssignment(Gen(4, Mine(4, {})), member.now);
  (void)member.state.OnTaskClosed(first.task, first.grant, member.now);
  CHECK(member.state.acknowledged() == Generation(3));
}

TEST_CASE(
    "MemberState: after a fence it looks for a successor, joins again, reads to the end, and "
    "starts "
    "only what is still its own") {
  Running member({0, 1, 2, 3});
  const int32_t fenced = member.grants.at(TaskId(0)).loop;
  const MemberActions actions = member.state.OnLoopFenced(fenced, true, 0, member.now);
  const auto look = Only<ReadToEnd>(actions);
  REQUIRE(look.size() == 1);
  CHECK(Only<RejoinLoop>(actions).empty());  // that would fence a successor
  CHECK(member.state.OnLoopFenced(1 - fenced, true, 0, member.now).empty());

  // All loops: another process of this worker may have put the task on another one.
  const MemberActions looked = member.state.OnCaughtUp(look[0].number, member.now);
  CHECK(Only<RejoinLoop>(looked) == std::vector<RejoinLoop>{{0, 1}, {1, 1}});
  CHECK(Granted(looked).empty());
  CHECK(member.state.OnLoopReady(fenced, 1, member.now).empty());
  const auto read = Only<ReadToEnd>(member.state.OnLoopReady(1 - fenced, 1, member.now));
  REQUIRE(read.size() == 1);
  // An answer to an earlier reading is not good enough.
  CHECK(member.state.OnCaughtUp(look[0].number, member.now).empty());
  (void)member.state.OnAssignment(Gen(7, Mine(7, {1, 2, 3})), member.now);
  CHECK(Granted(member.state.OnCaughtUp(read[0].number, member.now)) ==
        std::vector<int32_t>{1, 2, 3});
}

TEST_CASE("MemberState: a loop that is fenced while it joins is not forgotten") {
  const auto joins_again = [](MemberState& state, int64_t join) {
    const auto look = Only<ReadToEnd>(state.OnLoopFenced(0, true, join, At(seconds(2))));
    REQUIRE(look.size() == 1);
    CHECK(Only<RejoinLoop>(state.OnCaughtUp(look[0].number, At(seconds(2)))) ==
          std::vector<RejoinLoop>{{0, join + 1}, {1, join + 1}});
    CHECK(state.OnLoopReady(0, join + 1, At(seconds(3))).empty());
    CHECK(Only<ReadToEnd>(state.OnLoopReady(1, join + 1, At(seconds(3)))).size() == 1);
  };
  SUBCASE("at the start") {
    MemberState state(kOptions, At(seconds(0)));
    (void)state.OnLoopReady(1, 0, At(seconds(1)));
    joins_again(state, 0);
  }
  SUBCASE("after another fence") {
    Running member({0, 1});
    const auto look = Only<ReadToEnd>(member.state.OnLoopFenced(1, true, 0, member.now));
    (void)member.state.OnCaughtUp(look.at(0).number, member.now);
    // Of before: it has been told meanwhile.
    CHECK(member.state.OnLoopFenced(0, true, 0, member.now).empty());
    joins_again(member.state, 1);
  }
}

TEST_CASE("MemberState: a loop that was ready before it was told to join again is not ready") {
  Running member({0, 1});
  const auto joins = [&](int32_t fenced, int64_t join) {
    const auto look = Only<ReadToEnd>(member.state.OnLoopFenced(fenced, true, join, member.now));
    (void)member.state.OnCaughtUp(look.at(0).number, member.now);
  };
  joins(0, 0);
  CHECK(member.state.OnLoopReady(0, 1, member.now).empty());
  joins(0, 1);  // once more, before the other loop was ready
  CHECK(member.state.OnLoopReady(1, 1, member.now).empty());  // which it was at that very moment
  CHECK(member.state.OnLoopReady(0, 2, member.now).empty());
  CHECK_FALSE(member.state.loops_ready());
  CHECK(Only<ReadToEnd>(member.state.OnLoopReady(1, 2, member.now)).size() == 1);
}

TEST_CASE("MemberState: a process that was replaced ends, and fences nobody") {
  Running member({0, 1});
  WorkerAssignment record = Mine(2, {0, 1});
  record.incarnation = "successor";
  record.replaced = {"me"};
  SUBCASE("when it reads so") {
    const MemberActions actions = member.state.OnAssignment(Gen(2, record), member.now);
    CHECK(Only<Surrender>(actions).size() == 1);
  }
  SUBCASE("when it was fenced, before it joins again") {
    const auto look = Only<ReadToEnd>(member.state.OnLoopFenced(0, true, 0, member.now));
    REQUIRE(look.size() == 1);
    const MemberActions actions = member.state.OnAssignment(Gen(2, record), member.now);
    CHECK(Only<Surrender>(actions).size() == 1);
    CHECK(Only<RejoinLoop>(actions).empty());
  }
}

TEST_CASE(
    "MemberState: one that was named and is not any more was replaced, whatever is remembered") {
  Running member({0, 1});
  WorkerAssignment record = Mine(2, {0, 1});
  record.incarnation = "me";
  CHECK(Only<Surrender>(member.state.OnAssignment(Gen(2, record), member.now)).empty());
  record.generation = Generation(30);
  record.incarnation = "successor";
  record.replaced = {"one of many", "another one"};
  const MemberActions actions = member.state.OnAssignment(Gen(30, record), member.now);
  CHECK(Only<Surrender>(actions).size() == 1);
  // It says nothing of what it read: so nobody takes it for the successor's successor.
  CHECK(member.state.acknowledged() == Generation(2));
}

TEST_CASE("MemberState: what it reads again counts, whatever it had known of that generation") {
  Running member({0, 1});
  // The tombstone of its record was gone before it was read: generation 7 seemed to leave it all.
  (void)member.state.OnAssignment(Gen(7, Mine(1, {0, 1})), member.now);
  const auto look = Only<ReadToEnd>(member.state.OnLoopFenced(0, true, 0, member.now));
  REQUIRE(look.size() == 1);
  (void)member.state.OnAssignment(Gen(7, std::nullopt), member.now);
  CHECK(Only<RejoinLoop>(member.state.OnCaughtUp(look[0].number, member.now)).size() == 2);
  (void)member.state.OnLoopReady(0, 1, member.now);
  const auto read = Only<ReadToEnd>(member.state.OnLoopReady(1, 1, member.now));
  REQUIRE(read.size() == 1);
  CHECK(Granted(member.state.OnAssignment(Gen(7, std::nullopt), member.now)).empty());
  CHECK(Granted(member.state.OnCaughtUp(read[0].number, member.now)).empty());
  CHECK(member.state.given().empty());
}

TEST_CASE("MemberState: surrenders when it is fenced again and again, not now and then") {
  const auto fence = [](Running& member, bool rival) {
    const MemberActions actions = member.state.OnLoopFenced(0, rival, member.join, member.now);
    if (!Only<Surrender>(actions).empty()) return true;
    (void)member.state.OnCaughtUp(Only<ReadToEnd>(actions).at(0).number, member.now);
    ++member.join;
    for (const int32_t ready : {0, 1})
      (void)member.state.OnLoopReady(ready, member.join, member.now);
    return false;
  };
  Running often({0});
  for (int i = 1; i <= 5; ++i) {
    often.now += seconds(1);
    // What is read to the end counts; here it never is.
    CHECK(fence(often, true) == (i == 5));
  }
  Running rarely({0});
  Running slow({0});  // its own transactions run out of time
  for (int i = 1; i <= 20; ++i) {
    rarely.now += seconds(40);
    CHECK_FALSE(fence(rarely, true));
    slow.now += seconds(1);
    CHECK_FALSE(fence(slow, false));
  }
}

TEST_CASE("MemberState: what it read and obeyed is proved on every loop before it is told so") {
  Running member({0, 1});
  // The start is no exception.
  CHECK(member.state.proven().empty());
  CHECK(member.state.OnLoopProved(0, Generation(1), member.now).empty());  // the other is awaited
  const auto first = Only<SendHeartbeat>(member.state.OnLoopProved(1, Generation(1), member.now));
  REQUIRE(first.size() == 1);
  CHECK(first[0].life == "l");
  CHECK(first[0].proven ==
        std::map<std::string, Generation>{{"p-0", Generation(1)}, {"p-1", Generation(1)}});

  // Not before what the generation takes away is closed.
  CHECK(Only<ProveLoop>(member.state.OnAssignment(Gen(2, Mine(2, {1})), member.now)).empty());
  const MemberActions closed = member.Close(0);
  CHECK(Only<ProveLoop>(closed) == std::vector<ProveLoop>{{0, Generation(2)}, {1, Generation(2)}});
  CHECK(Only<SendHeartbeat>(closed).at(0).acknowledged == Generation(2));
  CHECK(Only<SendHeartbeat>(closed).at(0).proven.at("p-0") == Generation(1));
  (void)member.state.OnLoopProved(1, Generation(2), member.now);
  CHECK(member.state.proven().at("p-0") == Generation(1));
  CHECK(member.state.proven().at("p-1") == Generation(2));
  (void)member.state.OnLoopProved(0, Generation(2), member.now);
  // Where its own record did not change nothing needs to be proved.
  CHECK(Only<ProveLoop>(member.state.OnAssignment(Gen(3, Mine(2, {1})), member.now)).empty());
  CHECK(member.state.acknowledged() == Generation(3));
}

TEST_CASE("MemberState: neither a rejoin nor a goodbye proves anything by itself") {
  Running member({0, 1});
  member.ProveAll();
  const int64_t read = member.Rejoin(0);
  (void)member.state.OnAssignment(Gen(5, Mine(4, {1})), member.now);
  const MemberActions actions = member.state.OnCaughtUp(read, member.now);
  CHECK(member.state.proven().at("p-0") == Generation(1));
  CHECK(Only<ProveLoop>(actions).size() == 2);
  // It is fenced before it could: a late answer of before counts for what it was.
  (void)member.state.OnLoopProved(0, Generation(5), member.now);
  (void)member.state.OnStop(member.now);
  const auto goodbye = Only<SendHeartbeat>(member.state.OnLoopsStopped(member.now));
  REQUIRE(goodbye.size() == 1);
  CHECK(goodbye[0].phase == WorkerPhase::kGone);
  CHECK(goodbye[0].proven.at("p-0") == Generation(5));
  CHECK(goodbye[0].proven.at("p-1") == Generation(1));
}

TEST_CASE("MemberState: another life of the topic begins with nothing proved") {
  Running member({0, 1});
  member.ProveAll();
  MemberAssignment anew = Gen(1, Mine(1, {0}));
  anew.life = "other";
  const MemberActions actions = member.state.OnAssignment(anew, member.now);
  CHECK(Only<RejoinLoop>(actions).size() == 2);
  CHECK(member.state.proven().empty());
  CHECK(Only<SendHeartbeat>(member.state.OnTick(At(seconds(100)))).at(0).life == "other");
}

TEST_CASE("MemberState: nothing starts while the model lacks a part of the job") {
  MemberState state(kOptions, At(seconds(0)));
  (void)state.OnLoopReady(0, 0, At(seconds(1)));
  const auto read = Only<ReadToEnd>(state.OnLoopReady(1, 0, At(seconds(1))));
  MemberAssignment old = Gen(1, Mine(1, {0}));
  old.missing_in_model = "input topic clicks";
  (void)state.OnAssignment(old, At(seconds(1)));
  CHECK(Granted(state.OnCaughtUp(read.at(0).number, At(seconds(1)))).empty());
  CHECK(state.waiting_for() == "the coordinator to pin input topic clicks");
  CHECK(Granted(state.OnAssignment(Gen(2, Mine(1, {0})), At(seconds(2)))).size() == 1);
}

TEST_CASE("MemberState: without transactions only the process that the record names runs tasks") {
  MemberOptions options = kOptions;
  options.transactions = false;
  MemberState state(options, At(seconds(0)));
  (void)state.OnLoopReady(0, 0, At(seconds(1)));
  const auto read = Only<ReadToEnd>(state.OnLoopReady(1, 0, At(seconds(1))));
  WorkerAssignment record = Mine(1, {0});
  record.incarnation = "earlier";
  (void)state.OnAssignment(Gen(1, record), At(seconds(1)));
  CHECK(Granted(state.OnCaughtUp(read.at(0).number, At(seconds(1)))).empty());
  CHECK_FALSE(state.named());
  record.incarnation = "me";
  const MemberActions named = state.OnAssignment(Gen(2, record), At(seconds(2)));
  CHECK(Granted(named).size() == 1);
  CHECK(Only<ProveLoop>(named).empty());  // there is nothing to prove with
}

TEST_CASE(
    "MemberState: fences ids of a predecessor with more run loops before it grants anything") {
  MemberState state(kOptions, At(seconds(0)));
  (void)state.OnLoopReady(0, 0, At(seconds(1)));
  const auto read = Only<ReadToEnd>(state.OnLoopReady(1, 0, At(seconds(1))));
  (void)state.OnAssignment(Gen(1, Mine(1, {0}, {"p-0", "p-1", "p-2", "p-3"})), At(seconds(1)));
  const MemberActions actions = state.OnCaughtUp(read.at(0).number, At(seconds(1)));
  CHECK(Only<FenceForeignIds>(actions) == std::vector<FenceForeignIds>{{{"p-2", "p-3"}}});
  CHECK(Granted(actions).empty());
  // Kafka was away: tried again, and nothing starts before.
  CHECK(Granted(state.OnForeignIdsFenced(false, At(seconds(1)))).empty());
  CHECK(state.next_tick() <= At(seconds(2)));
  CHECK(Only<FenceForeignIds>(state.OnTick(At(seconds(2)))).size() == 1);
  CHECK(Granted(state.OnForeignIdsFenced(true, At(seconds(2)))) == std::vector<int32_t>{0});
  // Once is enough, until it was fenced itself.
  CHECK(
      Only<FenceForeignIds>(
          state.OnAssignment(Gen(2, Mine(2, {0, 1}, {"p-0", "p-1", "p-2", "p-3"})), At(seconds(2))))
          .empty());
}

TEST_CASE(
    "MemberState: heartbeats come at their interval, with the report when it changed and every "
    "half minute") {
  MemberState state(kOptions, At(seconds(0)));
  auto beats = Only<SendHeartbeat>(state.OnTick(At(seconds(0))));
  REQUIRE(beats.size() == 1);
  CHECK(beats[0].with_report);
  CHECK(beats[0].sequence == 1);
  CHECK(state.OnTick(At(milliseconds(999))).empty());
  beats = Only<SendHeartbeat>(state.OnTick(At(seconds(1))));
  REQUIRE(beats.size() == 1);
  CHECK_FALSE(beats[0].with_report);
  CHECK(beats[0].sequence == 2);

  // A task's state: at once, when the last report is a second old.
  CHECK(Only<SendHeartbeat>(state.OnReportChanged(ReportChange::kStates, At(milliseconds(1100))))
            .at(0)
            .with_report);
  CHECK(state.OnReportChanged(ReportChange::kStates, At(milliseconds(1200))).empty());
  CHECK(state.next_tick() == At(milliseconds(2100)));
  CHECK(Only<SendHeartbeat>(state.OnTick(At(milliseconds(2100)))).at(0).with_report);

  // Figures: with a regular heartbeat, when the last report is five seconds old.
  (void)state.OnReportChanged(ReportChange::kFigures, At(milliseconds(3100)));
  int with_report = 0;
  for (int ms = 3200; ms <= 37200; ms += 100) {
    for (const SendHeartbeat& beat : Only<SendHeartbeat>(state.OnTick(At(milliseconds(ms)))))
      with_report += beat.with_report;
    if (ms == 7100) CHECK(with_report == 1);
  }
  CHECK(with_report == 2);
}

TEST_CASE("MemberState: stops: drains, then says goodbye once, then is silent") {
  Running member({0, 1});
  const MemberActions stop = member.state.OnStop(member.now);
  CHECK(Only<DrainLoops>(stop).size() == 1);
  CHECK(Only<SendHeartbeat>(stop).at(0).phase == WorkerPhase::kDraining);
  CHECK(member.state.OnStop(member.now).empty());
  CHECK(Granted(member.state.OnAssignment(Gen(2, Mine(2, {0, 1, 5})), member.now)).empty());
  (void)member.Close(0);
  (void)member.Close(1);
  const auto goodbye = Only<SendHeartbeat>(member.state.OnLoopsStopped(member.now));
  REQUIRE(goodbye.size() == 1);
  CHECK(goodbye[0].phase == WorkerPhase::kGone);
  CHECK(goodbye[0].with_report);
  CHECK(member.state.OnTick(At(seconds(1000))).empty());
  CHECK(member.state.OnLoopsStopped(member.now).empty());
}

}  // namespace
}  // namespace coho
