#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "tests/unit/coordination/bench.h"

namespace coho {
namespace {

// Without transactions.
struct Leases : Bench {
  Leases(int32_t tasks, int32_t workers) : Bench(tasks, workers) {
    options.transactions = false;
    Restart();
  }
  void Say(const std::string& process, int32_t worker, WorkerPhase phase = WorkerPhase::kRunning) {
    incarnation = process;
    Beat(worker, Generation(), phase);
  }
};

TEST_CASE("coordinator: what cannot be fenced is waited out") {
  Leases bench(4, 2);
  bench.BeatAll({0, 1});
  bench.Pass(seconds(2), {0, 1});
  bench.Take(
      bench.coordinator->OnPodFacts({{WorkerId(1), {true, true, false}}}, bench.now, bench.Wall()));
  bench.options.homecoming_timeout = seconds(0);
  bench.SetWorkers(2);
  // Its pod is gone, so it is lost at once; but its process may live for the rest of its lease.
  bench.Take(bench.coordinator->OnPodFacts({{WorkerId(1), {}}}, bench.now, bench.Wall()));
  bench.Work();
  bench.Pass(seconds(5), {0});
  CHECK(bench.Tasks(1).empty());
  CHECK(bench.Tasks(0).size() == 2);
  bench.Pass(seconds(3), {0});
  CHECK(bench.Tasks(0).size() == 4);
  CHECK(bench.fenced.empty());
}

TEST_CASE("coordinator: a lease that was made shorter is waited out as its process knows it") {
  Leases bench(4, 2);
  bench.session = seconds(30);
  bench.BeatAll({0, 1});
  bench.Pass(seconds(2), {0, 1});
  bench.SetWorkers(1);  // and worker 1 is frozen: it says nothing, and closes nothing
  SUBCASE("by the coordinator that heard it") {}
  SUBCASE("by one that began after") {
    bench.Restart();
    bench.Beat(1, 1, WorkerPhase::kRunning, /*historical=*/true);
  }
  bench.Pass(seconds(27), {0});
  CHECK(bench.Tasks(0).size() == 2);
  bench.Pass(seconds(8), {0});
  CHECK(bench.Tasks(0).size() == 4);
}

TEST_CASE("coordinator: two processes of one worker without transactions end up as one") {
  Leases bench(2, 1);
  bench.Say("first", 0);
  CHECK(bench.Tasks(0).size() == 2);
  bench.Pass(seconds(7), {0});
  SUBCASE("the first one ended: the second one is named when the lease is over") {
    for (int i = 0; i < 4; ++i) {
      bench.Say("second", 0);
      bench.Pass(seconds(1));
    }
    CHECK(bench.stored.assignment.workers.at(WorkerId(0)).incarnation == "first");
    for (int i = 0; i < 4; ++i) {
      bench.Say("second", 0);
      bench.Pass(seconds(1));
    }
    CHECK(bench.stored.assignment.workers.at(WorkerId(0)).incarnation == "second");
    CHECK(bench.Tasks(0).size() == 2);
  }
  SUBCASE("the first one lives: its tasks are taken back before the second one gets them") {
    bench.Say("second", 0);
    bench.Pass(seconds(1));
    bench.Say("first", 0);
    bench.Pass(seconds(1));
    bench.Say("second", 0);
    const WorkerAssignment& record = bench.stored.assignment.workers.at(WorkerId(0));
    CHECK(record.incarnation == "second");
    CHECK(record.replaced == std::vector<std::string>{"first"});
    CHECK(record.active.empty());
    bench.Say("first", 0, WorkerPhase::kGone);  // it has read it
    bench.Say("second", 0);
    bench.Pass(seconds(1));
    CHECK(bench.Tasks(0).size() == 2);
  }
}

TEST_CASE("coordinator: of two processes that come together after a third one stays too") {
  Leases bench(2, 1);
  bench.Say("first", 0);
  bench.Pass(seconds(7), {0});
  // The first one is gone; both of the others live on.
  for (int i = 0; i < 30; ++i) {
    const WorkerAssignment record = bench.stored.assignment.workers.at(WorkerId(0));
    for (const char* process : {"second", "third"}) {
      const bool ended = std::count(record.replaced.begin(), record.replaced.end(), process) > 0;
      if (!ended) bench.Say(process, 0);
    }
    bench.Pass(seconds(1));
  }
  const WorkerAssignment& record = bench.stored.assignment.workers.at(WorkerId(0));
  CHECK(record.active.size() == 2);
  CHECK(record.incarnation != "first");
  CHECK(record.replaced.size() == 2);
}

TEST_CASE("coordinator: a goodbye holds for a coordinator that only reads of it") {
  Leases bench(2, 1);
  bench.Say("first", 0);
  bench.Pass(seconds(1), {0});
  REQUIRE(bench.Tasks(0).size() == 2);
  bench.Restart();
  const auto named = [&] { return bench.stored.assignment.workers.at(WorkerId(0)).incarnation; };
  const auto read = [&](const std::string& process, WorkerPhase phase) {
    bench.incarnation = process;
    bench.Beat(0, bench.Generation(), phase, /*historical=*/true);
  };
  SUBCASE("it ended well: the next process gets its tasks at once") {
    read("first", WorkerPhase::kGone);
    bench.Say("second", 0);
    CHECK(named() == "second");
    CHECK(bench.Tasks(0).size() == 2);
  }
  SUBCASE("and where the goodbye arrives last") {
    bench.Say("second", 0);
    CHECK(named() == "first");
    bench.Say("first", 0, WorkerPhase::kGone);
    bench.Say("second", 0);
    bench.Pass(milliseconds(500));
    CHECK(named() == "second");
  }
  SUBCASE("what comes late of a process that said goodbye takes nothing back") {
    read("first", WorkerPhase::kGone);
    read("first", WorkerPhase::kRunning);
    bench.Say("second", 0);
    CHECK(named() == "second");
  }
  SUBCASE("another process that said goodbye is not the one that has the tasks") {
    read("other", WorkerPhase::kGone);
    bench.Say("second", 0);
    CHECK(named() == "first");
  }
  SUBCASE("a sign of life is none when it is only read back") {
    read("first", WorkerPhase::kRunning);
    bench.Say("second", 0);
    CHECK(named() == "first");
    for (int i = 0; i < 8; ++i) {
      bench.Pass(seconds(1));
      bench.Say("second", 0);
    }
    CHECK(named() == "second");
  }
}

TEST_CASE(
    "coordinator: what was taken back from two processes is waited out after a goodbye, too") {
  Leases bench(2, 1);
  bench.Say("first", 0);
  bench.Pass(seconds(7), {0});
  bench.Say("second", 0);
  bench.Pass(seconds(1));
  bench.Say("first", 0);
  bench.Pass(seconds(1));
  bench.Say("second", 0);
  const WorkerAssignment record = bench.stored.assignment.workers.at(WorkerId(0));
  REQUIRE(record.incarnation == "second");
  REQUIRE(record.active.empty());  // and the first one has not read it
  bench.Restart();
  bench.incarnation = "second";
  bench.Beat(0, bench.Generation(), WorkerPhase::kGone, /*historical=*/true);
  bench.Say("third", 0);
  CHECK(bench.Tasks(0).empty());
  for (int i = 0; i < 5; ++i) {
    bench.Pass(seconds(1));
    bench.Say("third", 0);
    CHECK(bench.Tasks(0).empty());
  }
  for (int i = 0; i < 4; ++i) {
    bench.Pass(seconds(1));
    bench.Say("third", 0);
  }
  CHECK(bench.Tasks(0).size() == 2);
}

}  // namespace
}  // namespace coho
