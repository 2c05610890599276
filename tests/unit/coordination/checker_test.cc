#include "common/coordination/checker.h"

#include <doctest/doctest.h>

#include <functional>

namespace coho {
namespace {

JobModel FourTasks() {
  JobModel model;
  model.tasks = 4;
  return model;
}

Assignment Good() {
  Assignment assignment;
  assignment.generation = Generation(3);
  assignment.workers[WorkerId(0)] = {Generation(3), {TaskId(0), TaskId(2)}, {}, {"a"}};
  assignment.workers[WorkerId(1)] = {Generation(2), {TaskId(1)}, {TaskId(0)}, {"b"}};
  return assignment;
}

TEST_CASE("checker: a good assignment has no violation") {
  CHECK(CheckAssignment(FourTasks(), Good()).empty());
}

TEST_CASE("checker: says what is wrong with an assignment") {
  struct Row {
    const char* name;
    std::function<void(Assignment&)> spoil;
    const char* says;
  };
  const Row rows[] = {
      {"owned twice",
       [](Assignment& a) {
         a.workers[WorkerId(1)].active = {TaskId(1), TaskId(2)};
       },
       "task 2 is owned by worker 0 and worker 1"},
      {"no such task", [](Assignment& a) { a.workers[WorkerId(1)].active = {TaskId(4)}; },
       "task 4 does not exist"},
      {"negative worker", [](Assignment& a) { a.workers[WorkerId(-1)] = {}; },
       "worker -1 cannot exist"},
      {"standby beside active", [](Assignment& a) { a.workers[WorkerId(1)].standby = {TaskId(1)}; },
       "task 1 is active and standby on worker 1"},
      {"unsorted",
       [](Assignment& a) {
         a.workers[WorkerId(0)].active = {TaskId(2), TaskId(0)};
       },
       "not sorted"},
      {"no ids", [](Assignment& a) { a.workers[WorkerId(0)].transactional_ids.clear(); },
       "none of its transactional ids are recorded"},
      {"record of the future",
       [](Assignment& a) { a.workers[WorkerId(0)].generation = Generation(4); },
       "its record is of generation 4"},
  };
  for (const Row& row : rows) {
    CAPTURE(std::string(row.name));
    Assignment assignment = Good();
    row.spoil(assignment);
    const std::vector<std::string> violations = CheckAssignment(FourTasks(), assignment);
    REQUIRE(violations.size() == 1);
    CHECK_MESSAGE(violations[0].find(row.says) != std::string::npos, violations[0]);
  }
}

TEST_CASE("checker: a step takes or gives, and never passes a task on") {
  Assignment after = Good();
  after.generation = Generation(4);
  after.workers[WorkerId(0)].active = {TaskId(0)};
  after.workers[WorkerId(1)].active = {TaskId(1), TaskId(3)};
  CHECK(CheckStep(Good(), after).empty());
  after.workers[WorkerId(1)].active = {TaskId(1), TaskId(2)};
  REQUIRE(CheckStep(Good(), after).size() == 1);
  CHECK(CheckStep(Good(), after)[0] ==
        "task 2 passes from worker 0 to worker 1 without being released");
  after = Good();
  CHECK(CheckStep(Good(), after)[0] == "generation 3 is followed by 3");
}

}  // namespace
}  // namespace coho
