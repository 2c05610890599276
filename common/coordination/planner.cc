#include "common/coordination/planner.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "common/coordination/even_split.h"

namespace coho {
namespace {

// Nobody's state is larger, and the sum of a hundred thousand tasks is still a number.
constexpr int64_t kMostThatCounts = int64_t{1} << 44;

std::optional<WorkerId> Find(const std::map<TaskId, WorkerId>& where, TaskId task) {
  const auto entry = where.find(task);
  return entry == where.end() ? std::nullopt : std::optional(entry->second);
}

class Plan {
 public:
  explicit Plan(const PlannerInput& input) : input_(input), workers_(input.workers) {
    std::sort(workers_.begin(), workers_.end());
    workers_.erase(std::unique(workers_.begin(), workers_.end()), workers_.end());
    for (const PlannerTask& task : input.tasks) tasks_[task.id] = &task;
  }

  AssignmentPlan Make() {
    if (workers_.empty()) return {};
    std::vector<SplitItem> items;
    for (const auto& [id, task] : tasks_) items.push_back(ItemOf(*task));
    const EvenSplit split = SplitEvenly(items, workers_.size());
    Place(split);
    DescribeMoves();
    return std::move(plan_);
  }

 private:
  [[nodiscard]] std::optional<size_t> IndexOf(std::optional<WorkerId> worker) const {
    if (!worker) return std::nullopt;
    const auto at = std::lower_bound(workers_.begin(), workers_.end(), *worker);
    if (at == workers_.end() || *at != *worker) return std::nullopt;
    return static_cast<size_t>(at - workers_.begin());
  }

  [[nodiscard]] SplitItem ItemOf(const PlannerTask& task) const {
    const std::optional<size_t> owner = IndexOf(Find(input_.current, task.id));
    const std::optional<size_t> intended =
        owner ? std::nullopt : IndexOf(Find(input_.intended, task.id));
    const auto cost = [&](std::optional<size_t> worker, const RestoreCost& restore) {
      return PlanCost{owner && owner != worker, intended && intended != worker,
                      std::clamp<int64_t>(restore.bytes, 0, kMostThatCounts),
                      std::clamp<int64_t>(restore.records, 0, kMostThatCounts)};
    };
    SplitItem item{.anywhere = cost(std::nullopt, task.whole), .options = {}};
    std::map<size_t, PlanCost> options;
    if (intended) options[*intended] = cost(intended, task.whole);
    for (const auto& [worker, behind] : task.copies) {
      if (const auto at = IndexOf(worker)) options[*at] = cost(at, behind);
    }
    if (owner) options[*owner] = PlanCost();  // nothing is restored
    for (const auto& [worker, price] : options) {
      if (price < item.anywhere) item.options.push_back({worker, price});
    }
    return item;
  }

  // Of those that may be anywhere the heaviest first, each to the worker with the most room, and of
  // several to the one with the fewest bytes.
  void Place(const EvenSplit& split) {
    std::vector<int64_t> bytes(workers_.size());
    std::vector<const PlannerTask*> anywhere;
    auto at = split.bins.begin();
    for (const auto& [id, task] : tasks_) {
      const std::optional<size_t> worker = *at++;
      if (!worker) {
        anywhere.push_back(task);
        continue;
      }
      plan_.active[id] = workers_[*worker];
      bytes[*worker] += task->whole.bytes;
    }
    std::sort(anywhere.begin(), anywhere.end(), [](const auto* a, const auto* b) {
      return std::tuple(-a->whole.bytes, a->id) < std::tuple(-b->whole.bytes, b->id);
    });
    std::set<std::tuple<int64_t, int64_t, size_t>> room;
    for (size_t i = 0; i < workers_.size(); ++i)
      room.emplace(-static_cast<int64_t>(split.room[i]), bytes[i], i);
    for (const PlannerTask* task : anywhere) {
      const auto [free, has, worker] = *room.begin();
      room.erase(room.begin());
      plan_.active[task->id] = workers_[worker];
      room.emplace(free + 1, has + task->whole.bytes, worker);
    }
  }

  void DescribeMoves() {
    for (const auto& [id, to] : plan_.active) {
      const std::optional<WorkerId> owner = Find(input_.current, id);
      if (owner == to) continue;
      const PlannerTask& task = *tasks_.at(id);
      const auto copy = task.copies.find(to);
      plan_.moves.push_back({.task = id,
                             .from = owner,
                             .to = to,
                             .cost = copy == task.copies.end() ? task.whole : copy->second});
    }
  }

  const PlannerInput& input_;
  std::vector<WorkerId> workers_;  // those that may own, sorted
  std::map<TaskId, const PlannerTask*> tasks_;
  AssignmentPlan plan_;
};

}  // namespace

AssignmentPlan PlanAssignment(const PlannerInput& input) { return Plan(input).Make(); }

}  // namespace coho
