#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/coordination/bench.h"

namespace coho {
namespace {

// Worker 0 ran every other of eight tasks, was away, and worker 1 took them over.
struct Homecoming : Bench {
  Homecoming() : Bench(8, 2) {
    disks = {{0, "a"}, {1, "b"}};
    position = 90;
    BeatAll({0, 1});
    Pass(seconds(3), {0, 1});
    had = Tasks(0);
    REQUIRE(had.size() == 4);
    for (const TaskId task : had) closed[0][task] = position;
    position = 100;
    for (const TaskId task : had) closed[1][task] = position;  // once it has given them back
    Pass(seconds(90), {1});
    REQUIRE(Tasks(1).size() == 8);
    events.clear();
  }
  [[nodiscard]] bool ToldText(const std::string& text) const {
    return std::any_of(events.begin(), events.end(), [&](const EmitEvent& event) {
      return event.message.find(text) != std::string::npos;
    });
  }
  std::vector<TaskId> had;
};

TEST_CASE("homecoming: a worker that returns gets the tasks of which it has copies") {
  Homecoming bench;
  SUBCASE("") {}
  SUBCASE("from a coordinator that began meanwhile, too") { bench.Restart(); }
  bench.Pass(seconds(30), {0, 1});
  CHECK(bench.Tasks(0) == bench.had);
  CHECK(bench.Tasks(1).size() == 4);
  // A tenth of the changelog is missing there, so a tenth of the state is restored.
  CHECK(bench.ToldText("task " + ToString(bench.had[0]) +
                       " moved from worker 1 to worker 0 (balance), 103 B to restore"));
}

TEST_CASE(
    "homecoming: of what it has no copy any more a worker gets no more than balance asks for") {
  Homecoming bench;
  bench.closed[0].erase(bench.had[0]);
  bench.closed[0].erase(bench.had[1]);
  bench.Pass(seconds(30), {0, 1});
  const std::vector<TaskId> has = bench.Tasks(0);
  CHECK(has.size() == 4);
  CHECK(std::count(has.begin(), has.end(), bench.had[2]) == 1);
  CHECK(std::count(has.begin(), has.end(), bench.had[3]) == 1);
}

TEST_CASE("homecoming: who comes back with another disk has no copies") {
  Homecoming bench;
  bench.closed[0].clear();
  bench.disks[0] = "new";
  bench.Pass(seconds(30), {0, 1});
  // The first ones, as any worker gets that never was there.
  CHECK(bench.Tasks(0) == std::vector<TaskId>{TaskId(0), TaskId(1), TaskId(2), TaskId(3)});
  CHECK(bench.ToldText("moved from worker 1 to worker 0 (balance), 1.0 KiB to restore"));
}

}  // namespace
}  // namespace coho
