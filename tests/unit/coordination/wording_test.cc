#include "common/coordination/wording.h"

#include <doctest/doctest.h>

namespace coho {
namespace {

TEST_CASE("wording: figures as people read them") {
  CHECK(SayBytes(0) == "0 B");
  CHECK(SayBytes(1023) == "1023 B");
  CHECK(SayBytes(1536) == "1.5 KiB");
  CHECK(SayBytes(int64_t{3} << 30) == "3.0 GiB");
  CHECK(SayDuration(std::chrono::milliseconds(850)) == "850ms");
  CHECK(SayDuration(std::chrono::seconds(6)) == "6s");
  CHECK(SayDuration(std::chrono::minutes(5)) == "5m");
  CHECK(SayDuration(std::chrono::seconds(90)) == "1m30s");
  CHECK(SayCount(1, "task") == "1 task");
  CHECK(SayCount(0, "task") == "0 tasks");
  CHECK(SayTasks({TaskId(3)}) == "task 3");
  std::vector<TaskId> many;
  for (int32_t i = 0; i < 10; ++i) many.push_back(TaskId(i));
  CHECK(SayTasks(many) == "tasks 0, 1, 2, 3, 4, 5, 6, 7 and 2 more");
}

}  // namespace
}  // namespace coho
