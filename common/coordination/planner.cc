#include "common/coordination/planner.h"

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>

namespace coho {
namespace {

struct Candidate {
  TaskId id;
  int64_t saved_bytes = 0;  // restored somewhere else if it does not stay here
  bool runs_here = false;
};

struct Slots {
  std::vector<Candidate> homes;  // whose home this worker is, the one to keep first at the front
  size_t capacity = 0;
  size_t taken = 0;
  int64_t bytes = 0;
  [[nodiscard]] size_t free() const { return capacity - taken; }
};

class Plan {
 public:
  explicit Plan(const PlannerInput& input) : input_(input) {
    for (const WorkerId worker : input.workers) workers_[worker];
    for (const PlannerTask& task : input.tasks) bytes_[task.id] = task.state_bytes;
  }

  AssignmentPlan Make() {
    if (workers_.empty()) return {};
    FindHomes();
    ShareCapacity();
    KeepAtHome();
    PlaceTheRest();
    DescribeMoves();
    return std::move(plan_);
  }

 private:
  [[nodiscard]] std::optional<WorkerId> EligibleIn(const std::map<TaskId, WorkerId>& where,
                                                   TaskId task) const {
    const auto entry = where.find(task);
    if (entry == where.end() || !workers_.contains(entry->second)) return std::nullopt;
    return entry->second;
  }
  [[nodiscard]] std::optional<WorkerId> EligibleLocality(TaskId task) const {
    const auto place = input_.locality.find(task);
    if (place == input_.locality.end() || !workers_.contains(place->second.worker))
      return std::nullopt;
    return place->second.worker;
  }

  // A task's home is its owner, else where it is on its way to, else the worker on which its state
  // lies. A task with an owner and state elsewhere may leave its owner for nothing.
  void FindHomes() {
    for (const auto& [task, bytes] : bytes_) {
      const std::optional<WorkerId> owner = EligibleIn(input_.current, task);
      const std::optional<WorkerId> intended = EligibleIn(input_.intended, task);
      const std::optional<WorkerId> place = EligibleLocality(task);
      if (owner) {
        const bool free_elsewhere = place && *place != *owner;
        workers_[*owner].homes.push_back({task, free_elsewhere ? 0 : bytes, true});
      } else if (intended) {
        workers_[*intended].homes.push_back({task, place == intended ? bytes : 0, false});
      } else if (place) {
        workers_[*place].homes.push_back({task, bytes, false});
      } else {
        homeless_.push_back(task);
      }
    }
    for (auto& [id, slots] : workers_) {
      std::sort(slots.homes.begin(), slots.homes.end(), [](const Candidate& a, const Candidate& b) {
        return std::tuple(!a.runs_here, -a.saved_bytes, a.id) <
               std::tuple(!b.runs_here, -b.saved_bytes, b.id);
      });
    }
  }

  // tasks / workers each, and one more where it keeps a task on its owner, then where it saves the
  // most bytes, then a move.
  void ShareCapacity() {
    const size_t base = bytes_.size() / workers_.size();
    const size_t extra = bytes_.size() % workers_.size();
    std::vector<std::tuple<bool, int64_t, bool, WorkerId>> gains;
    for (auto& [id, slots] : workers_) {
      slots.capacity = base;
      const bool over = slots.homes.size() > base;
      gains.emplace_back(!(over && slots.homes[base].runs_here),
                         over ? -slots.homes[base].saved_bytes : 0, !over, id);
    }
    std::sort(gains.begin(), gains.end());
    for (size_t i = 0; i < extra; ++i) ++workers_[std::get<WorkerId>(gains[i])].capacity;
  }

  void Place(TaskId task, WorkerId worker) {
    Slots& slots = workers_[worker];
    ++slots.taken;
    slots.bytes += bytes_[task];
    plan_.active[task] = worker;
  }

  void KeepAtHome() {
    for (auto& [id, slots] : workers_) {
      for (size_t i = 0; i < slots.homes.size(); ++i) {
        if (i < slots.capacity) {
          Place(slots.homes[i].id, id);
        } else {
          homeless_.push_back(slots.homes[i].id);
        }
      }
    }
  }

  // The heaviest first: where its state lies if there is room, else to the emptiest worker.
  void PlaceTheRest() {
    std::sort(homeless_.begin(), homeless_.end(), [this](TaskId a, TaskId b) {
      return std::tuple(-bytes_[a], a) < std::tuple(-bytes_[b], b);
    });
    std::vector<TaskId> rest;
    for (const TaskId task : homeless_) {
      const std::optional<WorkerId> place = EligibleLocality(task);
      if (place && workers_[*place].free() > 0) {
        Place(task, *place);
      } else {
        rest.push_back(task);
      }
    }
    std::set<std::tuple<int64_t, int64_t, WorkerId>>
        room;  // most free slots, fewest bytes, lowest id first
    const auto rank = [](WorkerId id, const Slots& slots) {
      return std::tuple(-static_cast<int64_t>(slots.free()), slots.bytes, id);
    };
    for (const auto& [id, slots] : workers_) room.insert(rank(id, slots));
    for (const TaskId task : rest) {
      const WorkerId worker = std::get<WorkerId>(*room.begin());
      room.erase(room.begin());
      Place(task, worker);
      room.insert(rank(worker, workers_[worker]));
    }
  }

  void DescribeMoves() {
    for (const auto& [task, to] : plan_.active) {
      const auto owner = input_.current.find(task);
      if (owner != input_.current.end() && owner->second == to) continue;
      const auto place = input_.locality.find(task);
      const bool state_is_there = place != input_.locality.end() && place->second.worker == to;
      TaskMove move{.task = task, .to = to, .bytes = state_is_there ? 0 : bytes_[task]};
      if (owner != input_.current.end()) move.from = owner->second;
      plan_.moves.push_back(move);
    }
  }

  const PlannerInput& input_;
  std::map<TaskId, int64_t> bytes_;
  std::map<WorkerId, Slots> workers_;  // those that may own
  std::vector<TaskId> homeless_;
  AssignmentPlan plan_;
};

}  // namespace

AssignmentPlan PlanAssignment(const PlannerInput& input) { return Plan(input).Make(); }

}  // namespace coho
