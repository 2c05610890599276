#include "common/coordination/restore_costs.h"

#include <doctest/doctest.h>

#include <cstdint>

namespace coho {
namespace {

const TaskId kTask{3};

void Put(Copies* copies, int32_t worker, std::vector<StoreCopy> stores) {
  (*copies)[WorkerId(worker)].tasks[kTask].stores = std::move(stores);
}

TEST_CASE("restore costs: a copy costs what the furthest one is ahead of it, no copy the whole") {
  Copies copies;
  Put(&copies, 0, {{"counts", 900, 8'000, 0}, {"names", 50, 100, 0}});
  Put(&copies, 1, {{"counts", 1'000, 10'000, 0}, {"names", 50, 100, 0}});
  Put(&copies, 7, {{"counts", 0, 10'000, 0}, {"names", 40, 60, 0}});
  const PlannerTask task = RestoreCosts(copies).at(kTask);
  CHECK(task.id == kTask);
  CHECK(task.whole == RestoreCost{10'100, 1'050});
  CHECK(task.copies.at(WorkerId(1)) == RestoreCost());
  CHECK(task.copies.at(WorkerId(0)) == RestoreCost{1'000, 100});
  CHECK(task.copies.at(WorkerId(7)) == RestoreCost{10'020, 1'010});
  SUBCASE("whoever has it: also one that is lost") {
    Put(&copies, 9, {{"counts", 2'000, 10'000, 0}, {"names", 50, 100, 0}});
    CHECK(RestoreCosts(copies).at(kTask).copies.at(WorkerId(1)) == RestoreCost{5'000, 1'000});
  }
  SUBCASE("a store that the copy lacks is restored whole") {
    Put(&copies, 0, {{"counts", 1'000, 8'000, 0}});
    CHECK(RestoreCosts(copies).at(kTask).copies.at(WorkerId(0)) == RestoreCost{100, 50});
  }
}

TEST_CASE("restore costs: without positions the copy that was committed to last is the one") {
  Copies copies;
  Put(&copies, 0, {{"seen", 0, 500, 1'000}});
  Put(&copies, 1, {{"seen", 0, 700, 2'000}});
  const PlannerTask task = RestoreCosts(copies).at(kTask);
  CHECK(task.whole == RestoreCost{700, 0});
  CHECK(task.copies.at(WorkerId(0)) == RestoreCost{700, 0});
  CHECK(task.copies.at(WorkerId(1)) == RestoreCost());
}

TEST_CASE(
    "restore costs: numbers that cannot be are no more than the whole, and no less than none") {
  Copies copies;
  Put(&copies, 0, {{"a", INT64_MAX, INT64_MAX, 0}, {"b", INT64_MAX, INT64_MAX, 0}});
  Put(&copies, 1, {{"a", -5, 3, 0}, {"b", INT64_MAX - 1, 3, 0}});
  const PlannerTask task = RestoreCosts(copies).at(kTask);
  CHECK(task.whole == RestoreCost{INT64_MAX, INT64_MAX});
  CHECK(task.copies.at(WorkerId(1)).bytes == INT64_MAX);
  CHECK(RestoreCosts({}).empty());
}

}  // namespace
}  // namespace coho
