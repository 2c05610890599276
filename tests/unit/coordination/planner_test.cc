#include "common/coordination/planner.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <tuple>

namespace coho {
namespace {

PlannerInput Input(int32_t tasks, int32_t workers) {
  PlannerInput input;
  for (int32_t i = 0; i < tasks; ++i) input.tasks.push_back({TaskId(i), 10 + i});
  for (int32_t i = 0; i < workers; ++i) input.workers.push_back(WorkerId(i));
  return input;
}

std::map<WorkerId, int> Counts(const AssignmentPlan& plan) {
  std::map<WorkerId, int> counts;
  for (const auto& [task, worker] : plan.active) ++counts[worker];
  return counts;
}

TEST_CASE("planner: a first assignment is even, and the same every time") {
  const AssignmentPlan plan = PlanAssignment(Input(8, 3));
  CHECK(plan.active.size() == 8);
  CHECK(Counts(plan) ==
        std::map<WorkerId, int>{{WorkerId(0), 3}, {WorkerId(1), 3}, {WorkerId(2), 2}});
  CHECK(plan.moves.size() == 8);
  CHECK(plan.moves[0].task == TaskId(0));
  CHECK_FALSE(plan.moves[0].from);
  CHECK(PlanAssignment(Input(8, 3)).active == plan.active);
}

TEST_CASE("planner: nobody may own, nothing is planned") {
  PlannerInput input = Input(3, 2);
  input.workers.clear();
  CHECK(PlanAssignment(input).active.empty());
}

TEST_CASE("planner: a new worker gets the lightest tasks, the others stay") {
  PlannerInput input = Input(6, 3);
  for (int32_t i = 0; i < 6; ++i) input.current[TaskId(i)] = WorkerId(i % 2);
  const AssignmentPlan plan = PlanAssignment(input);
  REQUIRE(plan.moves.size() == 2);
  CHECK(plan.moves[0].task == TaskId(0));
  CHECK(plan.moves[1].task == TaskId(1));
  CHECK(plan.moves[0].to == WorkerId(2));
  CHECK(plan.moves[0].bytes == 10);
}

TEST_CASE("planner: a task without owner goes where its state lies") {
  PlannerInput input = Input(4, 2);
  input.current = {{TaskId(0), WorkerId(0)}, {TaskId(1), WorkerId(1)}, {TaskId(2), WorkerId(0)}};
  input.locality[TaskId(3)].worker = WorkerId(1);
  const AssignmentPlan plan = PlanAssignment(input);
  REQUIRE(plan.moves.size() == 1);
  CHECK(plan.moves[0].to == WorkerId(1));
  CHECK(plan.moves[0].bytes == 0);
}

TEST_CASE(
    "planner: a task on its way stays on it, but is redirected before one is taken from its "
    "owner") {
  PlannerInput input = Input(4, 2);
  input.current = {{TaskId(0), WorkerId(0)}, {TaskId(1), WorkerId(1)}};
  input.intended = {{TaskId(2), WorkerId(1)}, {TaskId(3), WorkerId(0)}};
  CHECK(PlanAssignment(input).active.at(TaskId(2)) == WorkerId(1));
  input.current = {{TaskId(0), WorkerId(1)}, {TaskId(1), WorkerId(1)}};
  input.intended = {{TaskId(2), WorkerId(1)}, {TaskId(3), WorkerId(1)}};
  const AssignmentPlan plan = PlanAssignment(input);
  CHECK(plan.active.at(TaskId(0)) == WorkerId(1));
  CHECK(plan.active.at(TaskId(1)) == WorkerId(1));
  CHECK(plan.active.at(TaskId(2)) == WorkerId(0));
}

TEST_CASE("planner: more workers than tasks leaves workers without any") {
  const AssignmentPlan plan = PlanAssignment(Input(2, 5));
  CHECK(Counts(plan).size() == 2);
}

// (bytes restored, moves) of the best even assignment, by trying all.
std::tuple<int64_t, int> Best(const PlannerInput& input, size_t workers) {
  std::tuple<int64_t, int> best{INT64_MAX, 0};
  std::vector<size_t> counts(workers);
  const size_t least = input.tasks.size() / workers;
  const size_t most = (input.tasks.size() + workers - 1) / workers;
  const std::function<void(size_t, int64_t, int)> place = [&](size_t task, int64_t bytes,
                                                              int moves) {
    if (task == input.tasks.size()) {
      if (*std::min_element(counts.begin(), counts.end()) >= least)
        best = std::min(best, std::tuple(bytes, moves));
      return;
    }
    for (size_t w = 0; w < workers; ++w) {
      if (counts[w] == most) continue;
      const auto owner = input.current.find(input.tasks[task].id);
      const bool stays =
          owner != input.current.end() && owner->second == WorkerId(static_cast<int32_t>(w));
      ++counts[w];
      place(task + 1, bytes + (stays ? 0 : input.tasks[task].state_bytes), moves + (stays ? 0 : 1));
      --counts[w];
    }
  };
  place(0, 0, 0);
  return best;
}

TEST_CASE("planner: restores the fewest bytes with the fewest moves of all even plans") {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    std::mt19937_64 random(seed);
    const auto below = [&](uint64_t n) { return static_cast<int32_t>(random() % n); };
    const int32_t workers = 1 + below(3);
    PlannerInput input = Input(1 + below(6), workers);
    for (PlannerTask& task : input.tasks) {
      task.state_bytes = below(4);
      if (below(4) > 0) input.current[task.id] = WorkerId(below(4));
      if (input.current.contains(task.id)) input.locality[task.id].worker = input.current[task.id];
    }
    const AssignmentPlan plan = PlanAssignment(input);
    int64_t bytes = 0;
    for (const TaskMove& move : plan.moves) bytes += move.bytes;
    INFO("seed " << seed);
    REQUIRE(plan.active.size() == input.tasks.size());
    CHECK(std::tuple(bytes, static_cast<int>(plan.moves.size())) ==
          Best(input, static_cast<size_t>(workers)));

    PlannerInput again = input;
    again.current = plan.active;
    CHECK(PlanAssignment(again).moves.empty());
    std::shuffle(input.tasks.begin(), input.tasks.end(), random);
    std::shuffle(input.workers.begin(), input.workers.end(), random);
    CHECK(PlanAssignment(input).active == plan.active);
  }
}

}  // namespace
}  // namespace coho
