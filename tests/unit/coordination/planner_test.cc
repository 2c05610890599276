#include "common/coordination/planner.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <random>
#include <vector>

#include "common/coordination/even_split.h"

namespace coho {
namespace {

PlannerInput Input(int32_t tasks, int32_t workers) {
  PlannerInput input;
  for (int32_t i = 0; i < tasks; ++i) input.tasks.push_back({TaskId(i), {10 + i, 0}, {}});
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
  CHECK(plan.moves[0].cost.bytes == 10);
}

TEST_CASE("planner: a task without owner goes where its state lies") {
  PlannerInput input = Input(4, 2);
  input.current = {{TaskId(0), WorkerId(0)}, {TaskId(1), WorkerId(1)}, {TaskId(2), WorkerId(0)}};
  input.tasks[3].copies[WorkerId(1)] = {};
  const AssignmentPlan plan = PlanAssignment(input);
  REQUIRE(plan.moves.size() == 1);
  CHECK(plan.moves[0].to == WorkerId(1));
  CHECK(plan.moves[0].cost == RestoreCost());
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

TEST_CASE("planner: who comes back gets what it has copies of, and restores what they are behind") {
  PlannerInput input = Input(8, 2);
  for (PlannerTask& task : input.tasks) {
    input.current[task.id] = WorkerId(1);
    task.copies[WorkerId(1)] = {};
    if (task.id.value() >= 4) task.copies[WorkerId(0)] = {task.id.value(), 1};
  }
  AssignmentPlan plan = PlanAssignment(input);
  REQUIRE(plan.moves.size() == 4);
  for (const TaskMove& move : plan.moves) {
    CHECK(move.task.value() >= 4);
    CHECK(move.to == WorkerId(0));
    CHECK(move.cost == RestoreCost{move.task.value(), 1});
  }
  // As one that never was there, nothing but the lightest is left.
  for (PlannerTask& task : input.tasks) task.copies.erase(WorkerId(0));
  plan = PlanAssignment(input);
  REQUIRE(plan.moves.size() == 4);
  for (const TaskMove& move : plan.moves) {
    CHECK(move.task.value() < 4);
    CHECK(move.cost == RestoreCost{10 + move.task.value(), 0});
  }
}

TEST_CASE("planner: one of its tasks makes room where another one's copy lies") {
  PlannerInput input = Input(4, 2);
  for (PlannerTask& task : input.tasks) task.whole.bytes = 100;
  // Two of them have copies on worker 0 alone; the others have them on both.
  for (const int i : {0, 1, 2, 3}) input.tasks[static_cast<size_t>(i)].copies[WorkerId(0)] = {i, 0};
  for (const int i : {0, 1}) input.tasks[static_cast<size_t>(i)].copies[WorkerId(1)] = {50, 0};
  const AssignmentPlan plan = PlanAssignment(input);
  CHECK(plan.active.at(TaskId(0)) == WorkerId(1));
  CHECK(plan.active.at(TaskId(1)) == WorkerId(1));
  CHECK(plan.active.at(TaskId(2)) == WorkerId(0));
}

TEST_CASE("planner: of tasks without bytes that count the copies' records count") {
  PlannerInput input = Input(2, 2);
  for (PlannerTask& task : input.tasks) task.whole = {0, 7};
  input.tasks[0].copies = {{WorkerId(1), {0, 2}}};
  CHECK(PlanAssignment(input).active.at(TaskId(0)) == WorkerId(1));
}

// What the task costs at the worker, in the order of the planner's aims.
PlanCost CostOf(const PlannerInput& input, const PlannerTask& task, WorkerId worker) {
  const auto may_own = [&](const std::map<TaskId, WorkerId>& where) {
    const auto entry = where.find(task.id);
    return entry != where.end() && std::find(input.workers.begin(), input.workers.end(),
                                             entry->second) != input.workers.end();
  };
  const bool owned = may_own(input.current);
  if (owned && input.current.at(task.id) == worker) return {};
  const auto copy = task.copies.find(worker);
  const RestoreCost restore = copy == task.copies.end() ? task.whole : copy->second;
  const bool redirected = !owned && may_own(input.intended) && input.intended.at(task.id) != worker;
  return {owned, redirected, restore.bytes, restore.records};
}

PlanCost CostOf(const PlannerInput& input, const AssignmentPlan& plan) {
  PlanCost sum;
  for (const PlannerTask& task : input.tasks)
    sum = sum + CostOf(input, task, plan.active.at(task.id));
  return sum;
}

// Of the best even assignment, by trying all.
PlanCost Best(const PlannerInput& input) {
  const size_t workers = input.workers.size();
  PlanCost best{INT64_MAX};
  std::vector<size_t> counts(workers);
  const size_t least = input.tasks.size() / workers;
  const size_t most = (input.tasks.size() + workers - 1) / workers;
  const std::function<void(size_t, const PlanCost&)> place = [&](size_t task,
                                                                 const PlanCost& cost) {
    if (task == input.tasks.size()) {
      if (*std::min_element(counts.begin(), counts.end()) >= least) best = std::min(best, cost);
      return;
    }
    for (size_t w = 0; w < workers; ++w) {
      if (counts[w] == most) continue;
      ++counts[w];
      place(task + 1, cost + CostOf(input, input.tasks[task], input.workers[w]));
      --counts[w];
    }
  };
  place(0, PlanCost());
  return best;
}

// Owners that may own no more, tasks on their way, several copies of a task that are behind.
PlannerInput Any(std::mt19937_64& random) {
  const auto below = [&](uint64_t n) { return static_cast<int32_t>(random() % n); };
  const int32_t workers = 1 + below(4);
  PlannerInput input = Input(1 + below(6), workers);
  for (PlannerTask& task : input.tasks) {
    task.whole = {below(6), below(3)};
    const int32_t where = below(6);
    if (where < 3) input.current[task.id] = WorkerId(below(5));
    if (where == 3) input.intended[task.id] = WorkerId(below(5));
    for (int32_t i = below(4); i > 0; --i) {
      const auto most = [&](int64_t whole) { return below(static_cast<uint64_t>(whole) + 1); };
      task.copies[WorkerId(below(5))] = {most(task.whole.bytes), most(task.whole.records)};
    }
  }
  return input;
}

TEST_CASE("planner: the best of all even plans, whatever copies lie where") {
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    std::mt19937_64 random(seed);
    PlannerInput input = Any(random);
    const AssignmentPlan plan = PlanAssignment(input);
    INFO("seed " << seed);
    REQUIRE(plan.active.size() == input.tasks.size());
    const PlanCost cost = CostOf(input, plan);
    CHECK(cost == Best(input));
    RestoreCost told;
    for (const TaskMove& move : plan.moves) {
      told.bytes += move.cost.bytes;
      told.records += move.cost.records;
    }
    CHECK(told == RestoreCost{cost.bytes, cost.records});

    PlannerInput again = input;
    again.current = plan.active;
    CHECK(PlanAssignment(again).moves.empty());
    // On their way, they stay on it, whatever is heard of copies meanwhile.
    for (PlannerTask& task : again.tasks) task.copies.clear();
    again.current.clear();
    again.intended = plan.active;
    CHECK(PlanAssignment(again).active == plan.active);
    std::shuffle(input.tasks.begin(), input.tasks.end(), random);
    std::shuffle(input.workers.begin(), input.workers.end(), random);
    CHECK(PlanAssignment(input).active == plan.active);
  }
}

TEST_CASE("planner: where there is no time for the best split, it is an even one all the same") {
  for (uint64_t seed = 1; seed <= 2000; ++seed) {
    std::mt19937_64 random(seed);
    const auto below = [&](uint64_t n) { return static_cast<size_t>(random() % n); };
    const size_t bins = 1 + below(5);
    std::vector<SplitItem> items(1 + below(20));
    for (SplitItem& item : items) {
      item.anywhere.bytes = 10;
      for (size_t bin = 0; bin < bins; ++bin) {
        if (below(3) == 0)
          item.options.push_back({bin, {0, 0, static_cast<int64_t>(below(10)), 0}});
      }
    }
    const EvenSplit split = SplitEvenly(items, bins, static_cast<int64_t>(below(60)));
    std::vector<size_t> counts = split.room;
    size_t anywhere = 0;
    for (const std::optional<size_t>& bin : split.bins) {
      anywhere += bin ? 0 : 1;
      if (bin) ++counts[*bin];
    }
    INFO("seed " << seed);
    size_t room = 0;
    for (const size_t of_bin : split.room) room += of_bin;
    CHECK(room == anywhere);
    CHECK(*std::min_element(counts.begin(), counts.end()) == items.size() / bins);
    CHECK(*std::max_element(counts.begin(), counts.end()) == (items.size() + bins - 1) / bins);
  }
}

}  // namespace
}  // namespace coho
