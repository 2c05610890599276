#include "common/coordination/inventory.h"

#include <doctest/doctest.h>

#include <utility>
#include <vector>

namespace coho {
namespace {

using std::chrono::seconds;

const WallTime kNow = FromUnixMillis(1'800'000'000'000);

StoreCopy Counts(int64_t position) {
  return {.store = "counts", .position = position, .bytes = 1000, .marker_time_ms = position};
}

TaskReport On(int32_t task, TaskState state, int64_t position) {
  return {.task = TaskId(task), .state = state, .stores = {Counts(position)}};
}

WorkerReport OnDisk(const std::string& disk_id, std::vector<TaskReport> copies) {
  return {.node = "n1", .volume = "v1", .disk_id = disk_id, .on_disk = std::move(copies)};
}

int64_t PositionOf(const Inventory& inventory, int32_t worker, int32_t task) {
  const auto copies = inventory.copies().find(WorkerId(worker));
  if (copies == inventory.copies().end()) return -1;
  const auto copy = copies->second.tasks.find(TaskId(task));
  return copy == copies->second.tasks.end() ? -1 : copy->second.position();
}

TEST_CASE("Inventory: on the same disk what is not looked up yet is where it was") {
  Inventory inventory;
  inventory.Observe(WorkerId(0), OnDisk("d0", {On(1, TaskState::kClosed, 70)}), {}, kNow);
  inventory.Observe(WorkerId(0), OnDisk("d0", {On(1, TaskState::kClosed, 0)}), {}, kNow);
  CHECK(PositionOf(inventory, 0, 1) == 70);

  SUBCASE("a task that is being brought home is no worse than it was") {
    WorkerReport report = OnDisk("d0", {});
    report.tasks = {On(1, TaskState::kRestoring, 0)};
    inventory.Observe(WorkerId(0), report, {TaskId(1)}, kNow);
    CHECK(PositionOf(inventory, 0, 1) == 70);
  }
  SUBCASE("what is not named is gone, unless there was no room to name all") {
    WorkerReport report = OnDisk("d0", {});
    report.partial = true;
    inventory.Observe(WorkerId(0), report, {}, kNow);
    CHECK(PositionOf(inventory, 0, 1) == 70);
    report.partial = false;
    inventory.Observe(WorkerId(0), report, {}, kNow);
    CHECK(PositionOf(inventory, 0, 1) == -1);
  }
}

TEST_CASE("Inventory: a wiped volume under the same worker is another disk, and nothing is left") {
  Inventory inventory;
  inventory.Observe(WorkerId(0),
                    OnDisk("d0", {On(1, TaskState::kClosed, 70), On(2, TaskState::kClosed, 5)}), {},
                    kNow);
  WorkerReport wiped = OnDisk("d1", {On(2, TaskState::kClosed, 0)});
  wiped.tasks = {On(1, TaskState::kRestoring, 0)};
  wiped.partial = true;
  inventory.Observe(WorkerId(0), wiped, {TaskId(1)}, kNow);
  CHECK(PositionOf(inventory, 0, 1) == -1);
  CHECK(PositionOf(inventory, 0, 2) == 0);
  // A decision may rest on it: on record at once.
  CHECK(inventory.Due(MonotonicTime(seconds(10))));
}

TEST_CASE("Inventory: a disk that came to another worker took its copies along") {
  Copies recorded;
  recorded[WorkerId(0)] = {
      .disk_id = "d0",
      .node = "n0",
      .zone = {},
      .volume = "v0",
      .seen_at_ms = 1,
      .tasks = {{TaskId(1), {.stores = {Counts(70)}}}, {TaskId(2), {.stores = {Counts(80)}}}}};
  recorded[WorkerId(1)] = {.disk_id = "d1",
                           .node = "n1",
                           .zone = {},
                           .volume = "v1",
                           .seen_at_ms = 1,
                           .tasks = {{TaskId(3), {.stores = {Counts(90)}}}}};
  Inventory inventory(recorded);
  inventory.Observe(WorkerId(1),
                    OnDisk("d0", {On(1, TaskState::kClosed, 0), On(2, TaskState::kClosed, 81)}), {},
                    kNow);
  CHECK(inventory.copies().count(WorkerId(0)) == 0);
  CHECK(PositionOf(inventory, 1, 1) == 70);
  CHECK(PositionOf(inventory, 1, 2) == 81);
  CHECK(PositionOf(inventory, 1, 3) == -1);
  CHECK(inventory.copies().at(WorkerId(1)).node == "n1");
  // Both records are written: one of what is there now, one that forgets.
  CHECK(inventory.Write().size() == 2);
  inventory.Written(true, MonotonicTime(seconds(10)));
  CHECK_FALSE(inventory.Due(MonotonicTime(seconds(3600))));

  SUBCASE("and back") {
    inventory.Observe(WorkerId(0), OnDisk("d0", {On(1, TaskState::kClosed, 0)}), {}, kNow);
    CHECK(inventory.copies().count(WorkerId(1)) == 0);
    CHECK(PositionOf(inventory, 0, 1) == 70);
  }
  SUBCASE("the worker that lost it begins with an empty one") {
    inventory.Observe(WorkerId(0), OnDisk("d2", {}), {}, kNow);
    CHECK(inventory.copies().at(WorkerId(0)).tasks.empty());
    CHECK(PositionOf(inventory, 1, 1) == 70);
  }
}

TEST_CASE("Inventory: disks without an id are told apart by their workers alone") {
  Inventory inventory;
  inventory.Observe(WorkerId(0), OnDisk("", {On(1, TaskState::kClosed, 70)}), {}, kNow);
  inventory.Observe(WorkerId(1), OnDisk("", {On(1, TaskState::kClosed, 0)}), {}, kNow);
  CHECK(PositionOf(inventory, 0, 1) == 70);
  CHECK(PositionOf(inventory, 1, 1) == 0);
}

}  // namespace
}  // namespace coho
