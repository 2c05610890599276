#include "worker/admin/health.h"

#include <doctest/doctest.h>

namespace coho {
namespace {

using std::chrono::seconds;

MonotonicTime At(Duration d) { return MonotonicTime(d); }

WorkerStatus Running(std::initializer_list<TaskState> states) {
  WorkerStatus status{.member = {.phase = WorkerPhase::kRunning,
                                 .generation = Generation(3),
                                 .acknowledged = Generation(3),
                                 .caught_up = true},
                      .loops = {LoopStatus{}}};
  int32_t id = 0;
  for (const TaskState state : states) {
    status.member.given.insert(TaskId(id));
    status.loops[0].tasks.push_back({.report = {.task = TaskId(id++), .state = state}});
  }
  return status;
}

TEST_CASE("Liveness: the first thread that stands still is named") {
  const ThreadProgress threads[] = {{"the member", At(seconds(100))},
                                    {"run loop 1", At(seconds(30))}};
  CHECK(Liveness(threads, At(seconds(90)), seconds(60)).ok);
  const Health dead = Liveness(threads, At(seconds(91)), seconds(60));
  CHECK_FALSE(dead.ok);
  CHECK(dead.text == "run loop 1 has not gone round for 61 s");
  CHECK(Liveness({}, At(seconds(91)), seconds(60)).ok);
}

TEST_CASE("Readiness") {
  CHECK(Readiness(Running({TaskState::kRunning, TaskState::kRunning})).ok);
  CHECK(Readiness(Running({})).ok);  // a worker without tasks that knows so

  const Health restoring = Readiness(Running({TaskState::kRunning, TaskState::kRestoring}));
  CHECK_FALSE(restoring.ok);
  CHECK(restoring.text == "1 of 2 tasks run");

  WorkerStatus status = Running({TaskState::kRunning});
  status.member.acknowledged = Generation(2);
  CHECK_FALSE(Readiness(status).ok);

  status = Running({TaskState::kRunning});
  status.member.given.insert(TaskId(7));  // granted, and no loop knows it yet
  CHECK_FALSE(Readiness(status).ok);

  status = Running({});
  status.member.generation = status.member.acknowledged = Generation();
  status.member.waiting_for = "an assignment that names worker 0";
  CHECK(Readiness(status).text == "waiting for an assignment that names worker 0");

  status = Running({TaskState::kRunning});
  status.member.phase = WorkerPhase::kDraining;
  CHECK(Readiness(status).text == "draining");

  CHECK_FALSE(Readiness(WorkerStatus{}).ok);
}

TEST_CASE("Readiness: the coordinator in the process is part of it") {
  WorkerStatus status = Running({TaskState::kRunning});
  SUBCASE("one that stands by for another is told, and the worker is ready") {
    status.coordinator =
        CoordinatorProblem{.text = "CoordinatorFenced: another process coordinates this job"};
    const Health health = Readiness(status);
    CHECK(health.ok);
    CHECK(health.text ==
          "ok: 1 tasks run; the coordinator in this process: CoordinatorFenced: another process "
          "coordinates this job");
  }
  SUBCASE("one that cannot work leaves the job without coordinator") {
    status.coordinator =
        CoordinatorProblem{.text = "InputRecreated: topic words is another one", .stopped = true};
    const Health health = Readiness(status);
    CHECK_FALSE(health.ok);
    CHECK(health.text ==
          "1 tasks run, but nobody coordinates the job; the coordinator in this process: "
          "InputRecreated: topic words is another one");
  }
  SUBCASE("why there is no assignment may be its problem") {
    status.member.caught_up = false;
    status.member.waiting_for = "an assignment that names worker 0";
    status.coordinator =
        CoordinatorProblem{.text = "TopicMissing: words does not exist", .stopped = true};
    const Health health = Readiness(status);
    CHECK_FALSE(health.ok);
    CHECK(health.text ==
          "waiting for an assignment that names worker 0; the coordinator in this process: "
          "TopicMissing: words does not exist");
  }
}

}  // namespace
}  // namespace coho
