#include "common/coordination/restore_costs.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string_view>

namespace coho {
namespace {

// Of one task, over all its copies.
struct Store {
  int64_t furthest = 0;
  int64_t bytes = 0;
  int64_t newest_marker_ms = 0;
};
using Stores = std::map<std::string_view, Store>;

void Add(int64_t more, int64_t* sum) {
  if (__builtin_add_overflow(*sum, more, sum)) *sum = INT64_MAX;
}

void Add(const RestoreCost& more, RestoreCost* sum) {
  Add(more.bytes, &sum->bytes);
  Add(more.records, &sum->records);
}

void Know(const StoreCopy& copy, Store* store) {
  store->furthest = std::max(store->furthest, copy.position);
  store->bytes = std::max(store->bytes, copy.bytes);
  store->newest_marker_ms = std::max(store->newest_marker_ms, copy.marker_time_ms);
}

RestoreCost WholeOf(const Store& store) { return {store.bytes, store.furthest}; }

RestoreCost BehindOf(const StoreCopy& copy, const Store& store) {
  if (store.furthest == 0)
    return {copy.marker_time_ms == store.newest_marker_ms ? 0 : store.bytes, 0};
  const int64_t records = store.furthest - std::clamp<int64_t>(copy.position, 0, store.furthest);
  if (records == 0 || records == store.furthest) return {records == 0 ? 0 : store.bytes, records};
  const double part = static_cast<double>(records) / static_cast<double>(store.furthest);
  const double bytes = std::ceil(part * static_cast<double>(store.bytes));
  return {bytes < static_cast<double>(store.bytes) ? static_cast<int64_t>(bytes) : store.bytes,
          records};
}

RestoreCost BehindOf(const TaskCopy& copy, const Stores& stores) {
  RestoreCost behind;
  for (const auto& [name, store] : stores) {
    const std::string_view wanted = name;
    const auto has = std::find_if(copy.stores.begin(), copy.stores.end(),
                                  [&](const StoreCopy& s) { return s.store == wanted; });
    Add(has == copy.stores.end() ? WholeOf(store) : BehindOf(*has, store), &behind);
  }
  return behind;
}

}  // namespace

std::map<TaskId, PlannerTask> RestoreCosts(const Copies& copies) {
  std::map<TaskId, Stores> known;
  for (const auto& [id, worker] : copies) {
    for (const auto& [task, copy] : worker.tasks) {
      Stores& stores = known[task];
      for (const StoreCopy& store : copy.stores) Know(store, &stores[store.store]);
    }
  }
  std::map<TaskId, PlannerTask> costs;
  for (const auto& [task, stores] : known) {
    PlannerTask& cost = costs[task];
    cost.id = task;
    for (const auto& [name, store] : stores) Add(WholeOf(store), &cost.whole);
  }
  for (const auto& [id, worker] : copies) {
    for (const auto& [task, copy] : worker.tasks)
      costs.at(task).copies[id] = BehindOf(copy, known.at(task));
  }
  return costs;
}

}  // namespace coho
