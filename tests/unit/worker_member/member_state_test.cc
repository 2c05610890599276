#include "worker/member/member_state.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace coho {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

MonotonicTime At(Duration d) { return MonotonicTime(d); }

const MemberOptions kOptions = {.transactional_ids = {"p-0", "p-1"}, .loops = 2};

WorkerAssignment Mine(int64_t generation, std::vector<int32_t> tasks,
                      std::vector<std::string> ids = {"p-0", "p-1"}) {
  WorkerAssignment out{.generation = Generation(generation), .transactional_ids = std::move(ids)};
  for (const int32_t task : tasks) out.active.push_back(TaskId(task));
  return out;
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
    CHECK(state.OnLoopReady(1, now).empty());
    const auto read = Only<ReadToEnd>(state.OnLoopReady(0, now));
    REQUIRE(read.size() == 1);
    (void)state.OnAssignment(Generation(1), Mine(1, std::move(tasks)), now);
    for (const GrantTask& g : Only<GrantTask>(state.OnCaughtUp(read[0].number, now)))
      grants[g.task] = g;
  }
  MemberActions Close(int32_t task) {
    return state.OnTaskClosed(TaskId(task), grants.at(TaskId(task)).grant, now);
  }

  MonotonicTime now = At(seconds(1));
  MemberState state;
  std::map<TaskId, GrantTask> grants;
};

TEST_CASE(
    "MemberState: starts nothing before the topic was read to its end after the producers were "
    "initialised") {
  MemberState state(kOptions, At(seconds(0)));
  // What was read before counts for nothing: an older self may have been writing.
  CHECK(Granted(state.OnAssignment(Generation(4), Mine(4, {0, 1, 2}), At(seconds(1)))).empty());
  CHECK(Granted(state.OnCaughtUp(0, At(seconds(1)))).empty());
  CHECK(state.OnLoopReady(0, At(seconds(2))).empty());  // the other producer is still to come
  const auto read = Only<ReadToEnd>(state.OnLoopReady(1, At(seconds(2))));
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
  (void)state.OnLoopReady(0, At(seconds(1)));
  const auto read = Only<ReadToEnd>(state.OnLoopReady(1, At(seconds(1))));
  (void)state.OnCaughtUp(read[0].number, At(seconds(1)));
  CHECK(Granted(state.OnAssignment(Generation(1), Mine(1, {0}, {"p-0"}), At(seconds(1)))).empty());
  CHECK_FALSE(state.named());
  CHECK(Granted(state.OnAssignment(Generation(2), Mine(2, {0}), At(seconds(2)))) ==
        std::vector<int32_t>{0});
  CHECK(state.named());
}

TEST_CASE("MemberState: a lower or equal generation is never obeyed") {
  Running member({0, 1});
  (void)member.state.OnAssignment(Generation(5), Mine(5, {0, 1}), member.now);
  CHECK(member.state.OnAssignment(Generation(5), Mine(5, {}), member.now).empty());
  CHECK(member.state.OnAssignment(Generation(4), std::nullopt, member.now).empty());
  CHECK(member.state.given() == std::set<TaskId>{TaskId(0), TaskId(1)});
}

TEST_CASE("MemberState: acknowledges a revocation only when every revoked task is closed") {
  Running member({0, 1, 2});
  const MemberActions revoked = member.state.OnAssignment(Generation(2), Mine(2, {1}), member.now);
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
  const MemberActions actions =
      member.state.OnAssignment(Generation(2), Mine(1, {0, 3}), member.now);
  CHECK(Granted(actions) == std::vector<int32_t>{3});
  CHECK(Only<SendHeartbeat>(actions).size() == 1);
  CHECK(member.state.acknowledged() == Generation(2));
}

TEST_CASE("MemberState: a worker that an assignment no longer names gives everything up") {
  Running member({0, 1});
  CHECK(
      Only<RevokeTask>(member.state.OnAssignment(Generation(2), std::nullopt, member.now)).size() ==
      2);
  (void)member.Close(0);
  (void)member.Close(1);
  CHECK(member.state.acknowledged() == Generation(2));
}

TEST_CASE("MemberState: a task that is taken and given back is closed first, then granted anew") {
  Running member({0});
  (void)member.state.OnAssignment(Generation(2), Mine(2, {}), member.now);
  CHECK(Granted(member.state.OnAssignment(Generation(3), Mine(3, {0}), member.now)).empty());
  CHECK(member.state.acknowledged() == Generation(1));
  const MemberActions closed = member.Close(0);
  CHECK(Granted(closed) == std::vector<int32_t>{0});
  CHECK(member.state.acknowledged() == Generation(3));
}

TEST_CASE("MemberState: a late answer to an earlier grant closes nothing") {
  Running member({0});
  const GrantTask first = member.grants.at(TaskId(0));
  (void)member.state.OnAssignment(Generation(2), Mine(2, {}), member.now);
  (void)member.state.OnAssignment(Generation(3), Mine(3, {0}), member.now);
  (void)member.Close(0);  // granted anew
  (void)member.state.OnAssignment(Generation(4), Mine(4, {}), member.now);
  (void)member.state.OnTaskClosed(first.task, first.grant, member.now);
  CHECK(member.state.acknowledged() == Generation(3));
}

TEST_CASE(
    "MemberState: after a fence it reads to the end before it starts anything, and only what is "
    "still its own") {
  Running member({0, 1, 2, 3});
  const int32_t fenced = member.grants.at(TaskId(0)).loop;
  const MemberActions actions = member.state.OnLoopFenced(fenced, member.now);
  // All loops: another process of this worker may have put the task on another one.
  CHECK(Only<RejoinLoop>(actions) == std::vector<RejoinLoop>{{0}, {1}});
  CHECK(Only<ReadToEnd>(actions).empty());  // not before the new producer is initialised
  CHECK(Granted(actions).empty());
  CHECK(member.state.OnLoopFenced(1 - fenced, member.now).empty());  // it is to join again already
  CHECK(member.state.OnLoopReady(fenced, member.now).empty());
  const auto read = Only<ReadToEnd>(member.state.OnLoopReady(1 - fenced, member.now));
  REQUIRE(read.size() == 1);

  // An answer to an earlier reading is not good enough.
  CHECK(member.state.OnCaughtUp(read[0].number - 1, member.now).empty());
  (void)member.state.OnAssignment(Generation(7), Mine(7, {1, 2, 3}), member.now);
  CHECK(Granted(member.state.OnCaughtUp(read[0].number, member.now)) ==
        std::vector<int32_t>{1, 2, 3});
}

TEST_CASE(
    "MemberState: surrenders when it is fenced again and again, not when it is fenced now and "
    "then") {
  Running often({0});
  const int32_t loop = often.grants.at(TaskId(0)).loop;
  for (int i = 1; i <= 5; ++i) {
    const MemberActions actions = often.state.OnLoopFenced(loop, often.now + seconds(i));
    CHECK(Only<Surrender>(actions).size() == (i == 5 ? 1u : 0u));
    for (const int32_t ready : {0, 1}) (void)often.state.OnLoopReady(ready, often.now);
  }
  Running rarely({0});
  for (int i = 1; i <= 20; ++i) {
    CHECK(Only<Surrender>(rarely.state.OnLoopFenced(loop, rarely.now + seconds(40 * i))).empty());
    for (const int32_t ready : {0, 1}) (void)rarely.state.OnLoopReady(ready, rarely.now);
  }
}

TEST_CASE(
    "MemberState: fences ids of a predecessor with more run loops before it grants anything") {
  MemberState state(kOptions, At(seconds(0)));
  (void)state.OnLoopReady(0, At(seconds(1)));
  const auto read = Only<ReadToEnd>(state.OnLoopReady(1, At(seconds(1))));
  (void)state.OnAssignment(Generation(1), Mine(1, {0}, {"p-0", "p-1", "p-2", "p-3"}),
                           At(seconds(1)));
  const MemberActions actions = state.OnCaughtUp(read.at(0).number, At(seconds(1)));
  CHECK(Only<FenceIds>(actions) == std::vector<FenceIds>{{{"p-2", "p-3"}}});
  const auto first = std::find_if(actions.begin(), actions.end(), [](const auto& a) {
    return std::holds_alternative<FenceIds>(a) || std::holds_alternative<GrantTask>(a);
  });
  CHECK(std::holds_alternative<FenceIds>(*first));
  // Once is enough, until it was fenced itself.
  CHECK(Only<FenceIds>(state.OnAssignment(Generation(2),
                                          Mine(2, {0, 1}, {"p-0", "p-1", "p-2", "p-3"}),
                                          At(seconds(2))))
            .empty());
}

TEST_CASE(
    "MemberState: what was fenced while it drained leaves the acknowledgement to its successor") {
  Running member({0, 1});
  (void)member.state.OnAssignment(Generation(2), Mine(2, {0, 1}), member.now);
  (void)member.state.OnStop(member.now);
  (void)member.state.OnAssignment(Generation(3), Mine(3, {0}), member.now);
  (void)member.state.OnLoopFenced(0, member.now);
  const auto beats = Only<SendHeartbeat>(member.state.OnLoopsStopped(member.now));
  REQUIRE(beats.size() == 1);
  CHECK(beats[0].phase == WorkerPhase::kGone);
  CHECK(beats[0].acknowledged == Generation(2));
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
  CHECK(Granted(member.state.OnAssignment(Generation(2), Mine(2, {0, 1, 5}), member.now)).empty());
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
