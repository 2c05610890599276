#include "worker/loop/loop_state.h"

#include <doctest/doctest.h>

#include <set>

#include "common/contract/exit_codes.h"

namespace coho {
namespace {

using std::chrono::seconds;
using S = LoopTaskState;

MonotonicTime At(Duration d) { return MonotonicTime(d); }
constexpr TaskId kTask = TaskId(3);

LoopState Working() {
  LoopState state({});
  CHECK(state.On(ProducerReady{}, At(seconds(1))) == LoopActions{Tell{LoopReady{}}});
  return state;
}

LoopState Running() {
  LoopState state = Working();
  CHECK(state.On(TaskGranted{kTask, 7}, At(seconds(1))) == LoopActions{AskRestore{kTask}});
  CHECK(state.On(TaskRestored{kTask}, At(seconds(1))) == LoopActions{ChooseStart{kTask}});
  CHECK(state.On(StartChosen{kTask, true}, At(seconds(1))) == LoopActions{StartTask{kTask}});
  CHECK(state.state(kTask) == S::kRunning);
  return state;
}

TEST_CASE("LoopState: every edge of a task's state, legal and illegal") {
  const S all[] = {S::kGone,      S::kRestoring, S::kWaiting, S::kPositioning,
                   S::kRecording, S::kRunning,   S::kRewound, S::kClosing};
  const std::set<std::pair<S, S>> legal = {
      {S::kGone, S::kRestoring},        {S::kRestoring, S::kWaiting},
      {S::kRestoring, S::kPositioning}, {S::kRestoring, S::kClosing},
      {S::kRestoring, S::kGone},        {S::kWaiting, S::kRestoring},
      {S::kWaiting, S::kClosing},       {S::kWaiting, S::kGone},
      {S::kPositioning, S::kRecording}, {S::kPositioning, S::kRunning},
      {S::kPositioning, S::kClosing},   {S::kPositioning, S::kGone},
      {S::kRecording, S::kRunning},     {S::kRecording, S::kClosing},
      {S::kRecording, S::kGone},        {S::kRunning, S::kRewound},
      {S::kRunning, S::kClosing},       {S::kRunning, S::kGone},
      {S::kRewound, S::kRunning},       {S::kRewound, S::kClosing},
      {S::kRewound, S::kGone},          {S::kClosing, S::kGone}};
  for (const S from : all) {
    for (const S to : all) {
      CAPTURE(LoopTaskStateName(from));
      CAPTURE(LoopTaskStateName(to));
      CHECK(IsLegal(from, to) == legal.contains({from, to}));
    }
  }
}

TEST_CASE("LoopState: inputs that come in a state where they mean nothing change nothing") {
  const LoopInput late[] = {TaskRestored{kTask},
                            TaskRestoreFailed{kTask, Unavailable("late")},
                            StartChosen{kTask, true},
                            StartFailed{kTask, Unavailable("late")},
                            CommitEnded{.status = Status::Ok()},
                            UndoEnded{.status = Status::Ok()},
                            ProducerReady{}};
  for (const LoopInput& input : late) {
    LoopState state = Running();
    CHECK(state.On(input, At(seconds(2))).empty());
    CHECK(state.state(kTask) == S::kRunning);
  }
}

TEST_CASE("LoopState: a chosen start is committed before it is read from") {
  LoopState state = Working();
  (void)state.On(TaskGranted{kTask, 7}, At(seconds(1)));
  (void)state.On(TaskRestored{kTask}, At(seconds(1)));
  CHECK(state.On(StartChosen{kTask, false}, At(seconds(1))) ==
        LoopActions{StartCommit{.prove = false}});
  CHECK(state.state(kTask) == S::kRecording);
  SUBCASE("committed") {
    CHECK(state.On(CommitEnded{.status = Status::Ok()}, At(seconds(1))) ==
          LoopActions{StartTask{kTask}});
  }
  SUBCASE("aborted: again after a pause") {
    CHECK(state.On(CommitEnded{.status = Aborted("no")}, At(seconds(1))) ==
          LoopActions{StartUndo{.why = "Aborted: no"}});
    CHECK(state.On(UndoEnded{}, At(seconds(1))).empty());
    CHECK(state.state(kTask) == S::kRecording);
    CHECK(state.On(Ticked{}, At(seconds(2))) == LoopActions{StartCommit{.prove = false}});
  }
  SUBCASE("revoked meanwhile: it is closed by the next commit") {
    CHECK(state.On(TaskRevoked{kTask, 7}, At(seconds(1))).empty());
    CHECK(state.On(CommitEnded{.status = Status::Ok()}, At(seconds(1))) ==
          LoopActions{StartCommit{.prove = true}});
  }
}

TEST_CASE("LoopState: a task is closed only by a commit that began after its revocation") {
  LoopState state = Running();
  CHECK(state.On(CommitDue{}, At(seconds(2))) == LoopActions{StartCommit{.prove = false}});
  CHECK(state.On(TaskRevoked{kTask, 7}, At(seconds(2))).empty());
  CHECK(state.On(CommitEnded{.status = Status::Ok()}, At(seconds(2))) ==
        LoopActions{StartCommit{.prove = true}});
  CHECK(state.On(CommitEnded{.status = Status::Ok()}, At(seconds(2))) ==
        LoopActions{CloseTask{kTask}, Tell{TaskClosed{.task = kTask, .grant = 7}}});
  CHECK(state.state(kTask) == S::kGone);
}

TEST_CASE("LoopState: an aborted closing is not told as closed; it is tried again") {
  LoopState state = Running();
  CHECK(state.On(TaskRevoked{kTask, 7}, At(seconds(2))) == LoopActions{StartCommit{.prove = true}});
  (void)state.On(CommitEnded{.status = Aborted("no")}, At(seconds(2)));
  CHECK(state.On(UndoEnded{}, At(seconds(2))).empty());
  CHECK(state.On(Ticked{}, At(seconds(3))) == LoopActions{StartCommit{.prove = true}});
}

TEST_CASE("LoopState: a proof that was under way when a transaction aborted is asked for again") {
  LoopState state = Running();
  CHECK(state.On(ProveAsked{4}, At(seconds(2))) == LoopActions{StartCommit{.prove = true}});
  CHECK(state.On(ProveAsked{5}, At(seconds(2))).empty());
  (void)state.On(CommitEnded{.status = Aborted("no")}, At(seconds(2)));
  (void)state.On(UndoEnded{}, At(seconds(2)));
  const LoopActions again = state.On(Ticked{}, At(seconds(3)));
  REQUIRE(again.size() == 2);  // the task begins again, and the proof
  CHECK(again[1] == LoopAction(StartCommit{.prove = true}));
  CHECK(state.On(CommitEnded{.status = Status::Ok()}, At(seconds(3))) ==
        LoopActions{Tell{LoopProved{.generation = 5}}});
}

TEST_CASE("LoopState: a rewound task does not begin again in the middle of a commit or an undo") {
  LoopState state = Running();
  (void)state.On(CommitDue{}, At(seconds(2)));
  (void)state.On(CommitEnded{.status = Aborted("no")}, At(seconds(2)));
  (void)state.On(UndoEnded{}, At(seconds(2)));
  // The pause is over, and a message comes in before the tick.
  REQUIRE(state.On(ProveAsked{4}, At(seconds(3))) == LoopActions{StartCommit{.prove = true}});
  CHECK(state.On(Ticked{}, At(seconds(3))).empty());
  CHECK(state.next_tick().has_value());  // it is not forgotten
  SUBCASE("committed") {
    (void)state.On(CommitEnded{.status = Status::Ok()}, At(seconds(4)));
    CHECK(state.On(Ticked{}, At(seconds(4))) == LoopActions{StartTask{kTask}});
  }
  SUBCASE("aborted") {
    (void)state.On(CommitEnded{.status = Aborted("no")}, At(seconds(4)));
    CHECK(state.On(Ticked{}, At(seconds(5))).empty());
    (void)state.On(UndoEnded{}, At(seconds(5)));
    CHECK(state.state(kTask) == S::kRewound);
    const LoopActions again = state.On(Ticked{}, At(seconds(6)));
    REQUIRE(again.size() == 2);
    CHECK(again[0] == LoopAction(StartTask{kTask}));
  }
}

TEST_CASE("LoopState: aborts that do not count never end the worker") {
  LoopState state = Running();
  MonotonicTime now = At(seconds(2));
  for (int i = 0; i < 50; ++i) {
    now += seconds(10);
    (void)state.On(Ticked{}, now);
    REQUIRE(state.On(CommitDue{}, now) == LoopActions{StartCommit{.prove = false}});
    (void)state.On(CommitEnded{.status = Aborted("house-keeping"), .counts = false}, now);
    (void)state.On(UndoEnded{}, now);
    REQUIRE_FALSE(state.ended());
  }
}

TEST_CASE("LoopState: what a failure means") {
  struct Row {
    Status status;
    int exit_code;  // 0: goes on
  };
  const Row rows[] = {{Unauthenticated("x"), kExitKafkaCredentials},
                      {Internal("x"), kExitInternal},
                      {InvalidArgument("x"), kExitJobFile},
                      {Corruption("x"), kExitKafkaUnavailable},
                      {Aborted("x"), 0},
                      {Fenced("x"), 0}};
  for (const Row& row : rows) {
    CAPTURE(row.status.ToString());
    LoopState state = Running();
    const LoopActions actions = state.On(ClientFailed{.status = row.status}, At(seconds(2)));
    CHECK(state.ended() == (row.exit_code != 0));
    if (row.exit_code == 0) continue;
    REQUIRE(actions.size() == 2);
    CHECK(std::get<LoopFailed>(std::get<Tell>(actions[0]).event).exit_code == row.exit_code);
  }
}

TEST_CASE("LoopState: state that was refused is told apart from a job that cannot run") {
  const auto code = [](const LoopInput& input) {
    LoopState state({});
    (void)state.On(ProducerReady{}, At(seconds(1)));
    (void)state.On(TaskGranted{.task = kTask, .grant = 1}, At(seconds(1)));
    if (std::holds_alternative<StartFailed>(input))
      (void)state.On(TaskRestored{.task = kTask}, At(seconds(1)));
    const LoopActions actions = state.On(input, At(seconds(2)));
    return std::get<LoopFailed>(std::get<Tell>(actions.at(0)).event).exit_code;
  };
  CHECK(code(TaskRestoreFailed{kTask, InvalidArgument("ahead of its changelog")}) ==
        kExitStateRefused);
  CHECK(code(StartFailed{.task = kTask, .status = InvalidArgument("another topic")}) ==
        kExitStateRefused);
  CHECK(code(TaskRestoreFailed{kTask, Corruption("x")}) == kExitStore);
  CHECK(code(StartFailed{.task = kTask, .status = Unauthenticated("x")}) == kExitKafkaCredentials);
}

TEST_CASE(
    "LoopState: fenced, it drops everything, hears nothing but Rejoin, and is not fenced twice") {
  LoopState state = Running();
  const LoopActions fenced = state.On(LeaseOver{}, At(seconds(2)));
  REQUIRE(fenced.size() == 2);
  CHECK(std::holds_alternative<DropAll>(fenced[0]));
  CHECK(state.size() == 0);
  CHECK(state.On(LeaseOver{}, At(seconds(2))).empty());
  CHECK(state.On(TaskGranted{kTask, 8}, At(seconds(2))).empty());
  CHECK(state.On(ProveAsked{9}, At(seconds(2))).empty());
  CHECK(state.On(CommitDue{}, At(seconds(2))).empty());
  CHECK(state.On(RejoinAsked{.join = 3}, At(seconds(2))) == LoopActions{RenewProducer{}});
  CHECK(state.On(TaskGranted{kTask, 8}, At(seconds(2))).empty());
  CHECK(state.On(ProducerReady{}, At(seconds(2))) == LoopActions{Tell{LoopReady{.join = 3}}});
  CHECK(state.On(TaskGranted{kTask, 9}, At(seconds(2))) == LoopActions{AskRestore{kTask}});
}

TEST_CASE(
    "LoopState: told to join again while it joins, it begins anew; fenced meanwhile, it says so") {
  LoopState state({});
  CHECK(state.On(RejoinAsked{.join = 1}, At(seconds(1))) == LoopActions{RenewProducer{}});
  const LoopActions fenced =
      state.On(ClientFailed{.status = Fenced("by another"), .what = {}}, At(seconds(1)));
  REQUIRE(fenced.size() == 2);
  CHECK(std::get<LoopFenced>(std::get<Tell>(fenced[1]).event).join == 1);
  CHECK(state.On(RejoinAsked{.join = 2}, At(seconds(2))) == LoopActions{RenewProducer{}});
  CHECK(state.On(ProducerReady{}, At(seconds(2))) == LoopActions{Tell{LoopReady{.join = 2}}});
}

TEST_CASE("LoopState: a drain ends it when everything is closed, a fence on the way too") {
  LoopState state = Running();
  CHECK(state.On(DrainAsked{}, At(seconds(2))) == LoopActions{StartCommit{.prove = true}});
  SUBCASE("committed") {
    const LoopActions actions = state.On(CommitEnded{.status = Status::Ok()}, At(seconds(2)));
    CHECK(actions == LoopActions{CloseTask{kTask}, Tell{TaskClosed{.task = kTask, .grant = 7}},
                                 Tell{LoopStopped{}}, EndLoop{}});
  }
  SUBCASE("fenced") {
    const LoopActions actions = state.On(CommitEnded{.status = Fenced("x")}, At(seconds(2)));
    REQUIRE(actions.size() == 4);
    CHECK(actions[2] == LoopAction(Tell{LoopStopped{}}));
  }
  CHECK(state.ended());
  CHECK(state.On(Ticked{}, At(seconds(9))).empty());
}

TEST_CASE("LoopState: a restore that may pass is tried again, later each time") {
  LoopState state = Working();
  (void)state.On(TaskGranted{kTask, 7}, At(seconds(1)));
  MonotonicTime now = At(seconds(1));
  Duration last = Duration::zero();
  for (int i = 0; i < 4; ++i) {
    CHECK(state.On(TaskRestoreFailed{kTask, Unavailable("x")}, now).empty());
    const Duration wait = *state.next_tick() - now;
    CHECK(wait > last);
    last = wait;
    CHECK(state.On(Ticked{}, now + wait - Duration(1)).empty());
    now += wait;
    CHECK(state.On(Ticked{}, now) == LoopActions{AskRestore{kTask}});
  }
  CHECK(state.On(TaskRevoked{kTask, 7}, now) ==
        LoopActions{ForgetTask{kTask}, StartCommit{.prove = true}});
}

}  // namespace
}  // namespace coho
