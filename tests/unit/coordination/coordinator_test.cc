#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>

#include "tests/unit/coordination/bench.h"

namespace coho {
namespace {

TEST_CASE("coordinator: the model is pinned before anything is assigned") {
  Bench bench(4, 2);
  CHECK(bench.stored.model == bench.model);
  CHECK(bench.Generation() == 0);
  CHECK_FALSE(bench.coordinator->settled());
}

TEST_CASE("coordinator: the first assignment waits for all workers") {
  Bench bench(4, 2);
  bench.Beat(0, 0);
  CHECK(bench.Generation() == 0);
  SUBCASE("and is made when the last one appears, with its ids on record") {
    bench.Beat(1, 0);
    CHECK(bench.Generation() == 1);
    CHECK(bench.Tasks(0).size() == 2);
    CHECK(bench.Tasks(1).size() == 2);
    CHECK(bench.stored.assignment.workers.at(WorkerId(1)).transactional_ids ==
          std::vector<std::string>{"w1-0", "w1-1"});
    CHECK(bench.coordinator->settled());
    CHECK(bench.coordinator->assignment() == bench.stored.assignment);
  }
  SUBCASE("but not for ever") {
    bench.Pass(seconds(9), {0});
    CHECK(bench.Generation() == 0);
    bench.Pass(seconds(2), {0});
    CHECK(bench.Tasks(0).size() == 4);
  }
}

TEST_CASE("coordinator: a moved task is revoked, released by acknowledgement, and granted") {
  Bench bench(4, 1);
  bench.Beat(0, 0);
  bench.Beat(0, 1);
  bench.SetWorkers(2);
  CHECK(bench.Generation() == 1);  // worker 1 is not there yet
  bench.Beat(1, 0);
  CHECK(bench.Tasks(0).size() == 2);
  CHECK(bench.Tasks(1).empty());
  const int64_t revoked = bench.Generation();
  bench.Beat(0, revoked - 1);
  CHECK(bench.Tasks(1).empty());
  CHECK_FALSE(bench.coordinator->settled());
  bench.Beat(0, revoked);
  CHECK(bench.Tasks(1).size() == 2);
  CHECK(bench.coordinator->settled());
  CHECK(bench.fenced.empty());
  CHECK(bench.Told("TaskMoved"));
}

TEST_CASE(
    "coordinator: a process with fewer run loops does not speak for the ids it does not use") {
  Bench bench(4, 1);
  bench.Beat(0, 0);
  bench.Beat(0, 1);
  bench.SetWorkers(2);
  bench.Beat(1, 0);
  bench.incarnation = "second";
  bench.one_loop = true;
  bench.Beat(0, bench.Generation());
  REQUIRE(bench.fenced.size() == 1);
  CHECK(bench.fenced[0].transactional_ids == std::vector<std::string>{"w0-1"});
  CHECK(bench.Tasks(1).size() == 2);
  CHECK(bench.stored.assignment.workers.at(WorkerId(0)).transactional_ids.size() ==
        2);  // never forgotten
}

TEST_CASE("coordinator: a silent worker's tasks wait for it, then are fenced and move") {
  Bench bench(4, 2);
  bench.BeatAll({0, 1});
  bench.Beat(0, 1);
  bench.Beat(1, 1);
  const std::vector<TaskId> kept = bench.Tasks(0);
  bench.Pass(seconds(8), {0});
  CHECK(bench.coordinator->workers().at(WorkerId(1)).standing == WorkerStanding::kSilent);
  CHECK(bench.Generation() == 1);
  SUBCASE("it comes home: nothing moves") {
    bench.Pass(seconds(40), {0});
    bench.incarnation = "second";
    bench.sequence = 0;
    bench.Beat(1, 1, WorkerPhase::kStarting);
    CHECK(bench.Told("WorkerReturned"));
    const std::vector<TaskId> its = bench.Tasks(1);
    bench.Pass(seconds(100), {0, 1});
    CHECK(bench.Tasks(0) == kept);
    CHECK(bench.Tasks(1) == its);
    CHECK(its.size() == 2);
    CHECK(bench.fenced.empty());
  }
  SUBCASE("it does not: fenced after the revocation, granted after the fence") {
    bench.Pass(seconds(60), {0});
    CHECK(bench.Told("WorkerLost"));
    REQUIRE(bench.fenced.size() == 1);
    CHECK(bench.fenced[0].worker == WorkerId(1));
    CHECK(bench.Generation() == 3);
    CHECK(bench.Tasks(0).size() == 4);
    const std::vector<TaskId> all = bench.Tasks(0);
    for (const TaskId task : kept) CHECK(std::count(all.begin(), all.end(), task) == 1);
  }
  SUBCASE("a fence that fails is tried again, and nothing is granted before") {
    bench.fail_fences = true;
    bench.Pass(seconds(62), {0});
    CHECK(bench.fenced.size() > 1);
    CHECK(bench.Tasks(0).size() == 2);
    bench.fail_fences = false;
    bench.Pass(seconds(1), {0});
    CHECK(bench.Tasks(0).size() == 4);
  }
}

TEST_CASE("coordinator: nobody left to take the tasks, so they stay where they are") {
  Bench bench(2, 1);
  bench.Beat(0, 0);
  bench.Pass(seconds(120));
  CHECK(bench.coordinator->workers().at(WorkerId(0)).standing == WorkerStanding::kLost);
  CHECK(bench.Tasks(0).size() == 2);
  CHECK(bench.fenced.empty());
  CHECK_FALSE(bench.coordinator->settled());
  bench.Beat(0, 1);
  CHECK(bench.Generation() == 1);
  CHECK(bench.coordinator->settled());
}

TEST_CASE("coordinator: a container that stopped is silent at once") {
  Bench bench(2, 2);
  bench.BeatAll({0, 1});
  bench.Take(
      bench.coordinator->OnPodFacts({{WorkerId(1), {true, true, false}}}, bench.now, bench.Wall()));
  bench.Take(bench.coordinator->OnPodFacts({{WorkerId(1), {true, false, false}}}, bench.now,
                                           bench.Wall()));
  bench.Work();
  CHECK(bench.coordinator->workers().at(WorkerId(1)).standing == WorkerStanding::kSilent);
  CHECK(bench.Told("WorkerSilent"));
  bench.Beat(1, 1);
  CHECK(bench.coordinator->workers().at(WorkerId(1)).standing == WorkerStanding::kAlive);
  bench.Take(bench.coordinator->OnPodFacts({{WorkerId(1), {true, false, false}}}, bench.now,
                                           bench.Wall()));
  CHECK(bench.coordinator->workers().at(WorkerId(1)).standing ==
        WorkerStanding::kAlive);  // old news
}

TEST_CASE("coordinator: scaling down empties the highest workers, which then may be removed") {
  Bench bench(6, 3);
  bench.BeatAll({0, 1, 2});
  bench.SetWorkers(1);
  CHECK(bench.Tasks(1).empty());
  CHECK(bench.coordinator->removable().empty());
  bench.Beat(1, bench.Generation());
  CHECK(bench.coordinator->removable() == std::set<WorkerId>{WorkerId(1)});
  bench.Beat(2, bench.Generation(), WorkerPhase::kGone);
  CHECK(bench.coordinator->removable() == std::set<WorkerId>{WorkerId(1), WorkerId(2)});
  CHECK(bench.Tasks(0).size() == 6);
  CHECK(bench.fenced.empty());
  SUBCASE("records go when the workers are gone") {
    bench.Take(bench.coordinator->OnPodFacts({{WorkerId(2), {}}}, bench.now, bench.Wall()));
    bench.Work();
    CHECK_FALSE(bench.stored.assignment.workers.contains(WorkerId(2)));
    CHECK(bench.stored.assignment.workers.contains(WorkerId(1)));
  }
  SUBCASE("and come back with them") {
    bench.Beat(0, bench.Generation());
    bench.SetWorkers(2);
    bench.Beat(0, bench.Generation());
    CHECK(bench.Tasks(1).size() == 3);
  }
}

TEST_CASE(
    "coordinator: a restarted coordinator gives every worker its session, and moves nothing") {
  Bench bench(4, 2);
  bench.BeatAll({0, 1});
  bench.Pass(seconds(1), {0, 1});
  bench.Restart();
  bench.Beat(0, 1, WorkerPhase::kRunning, true);
  CHECK(bench.coordinator->workers().at(WorkerId(0)).standing == WorkerStanding::kUnknown);
  bench.Pass(seconds(5), {1});
  CHECK(bench.coordinator->workers().at(WorkerId(0)).standing == WorkerStanding::kUnknown);
  bench.Pass(seconds(30), {0, 1});
  CHECK(bench.Generation() == 1);
  CHECK(bench.coordinator->settled());
}

TEST_CASE("coordinator: a restarted one listens until it has heard all, or long enough") {
  Bench bench(4, 2);
  bench.BeatAll({0, 1});
  CHECK_FALSE(bench.coordinator->listening());
  bench.Restart();
  CHECK(bench.coordinator->listening());
  bench.Beat(0, 1);
  CHECK(bench.coordinator->listening());
  SUBCASE("all were heard") {
    bench.Beat(1, 1);
    CHECK_FALSE(bench.coordinator->listening());
  }
  SUBCASE("one of them is silent") {
    bench.Pass(seconds(7), {0});
    CHECK(bench.Standing(1) == WorkerStanding::kSilent);
    CHECK_FALSE(bench.coordinator->listening());
  }
  SUBCASE("one of them never says what it does") {
    Heartbeat beat{.worker = WorkerId(1), .incarnation = "first", .phase = WorkerPhase::kRunning};
    for (int i = 0; i < 40; ++i) {
      beat.sequence = 100 + i;
      bench.Take(bench.coordinator->OnHeartbeat(beat, false, bench.now, bench.Wall()));
      bench.Pass(seconds(1), {0});
      CHECK(bench.coordinator->listening() == (i < 36));
    }
  }
}

TEST_CASE(
    "coordinator: restarted in the middle of a move, it finds out whether the former owner let "
    "go") {
  Bench bench(4, 1);
  bench.Beat(0, 0);
  bench.SetWorkers(2);
  bench.Beat(1, 0);
  CHECK(bench.Tasks(0).size() == 2);
  bench.Restart();
  bench.Beat(1, bench.Generation());
  bench.Beat(0, 1);
  CHECK(bench.Tasks(1).empty());
  bench.Beat(0, bench.Generation());
  CHECK(bench.Tasks(1).size() == 2);
}

TEST_CASE("coordinator: acknowledgements of a generation that does not exist prove nothing") {
  Bench bench(4, 1);
  bench.Beat(0, 50);
  bench.SetWorkers(2);
  bench.Beat(1, 0);
  CHECK(bench.Tasks(1).empty());
}

TEST_CASE("coordinator: a failed write changes nothing and is tried again at the next tick") {
  Bench bench(2, 1);
  bench.fail_writes = true;
  bench.Beat(0, 0);
  CHECK(bench.failed_writes == 1);
  CHECK(bench.Generation() == 0);
  bench.Beat(0, 0);
  CHECK(bench.failed_writes == 1);
  bench.fail_writes = false;
  bench.Pass(milliseconds(500));
  CHECK(bench.Generation() == 1);
}

TEST_CASE("coordinator: where tasks run caught up is recorded, and brings them back there") {
  Bench bench(2, 2);
  bench.BeatAll({0, 1});
  bench.Pass(seconds(3), {0, 1});
  const TaskId task = bench.Tasks(1)[0];
  CHECK(bench.stored.copies.at(WorkerId(1)).node == "node1");
  CHECK(bench.stored.copies.at(WorkerId(1)).tasks.at(task).bytes() == 1024);
  CHECK(bench.coordinator->locality().at(task).worker == WorkerId(1));
  CHECK(bench.coordinator->copies().at(WorkerId(1)).tasks ==
        bench.stored.copies.at(WorkerId(1)).tasks);
  CHECK(bench.Generation() == 1);
}

TEST_CASE("coordinator: a report that a later heartbeat overtook counts all the same") {
  Bench bench(2, 1);
  Heartbeat late{.worker = WorkerId(0), .incarnation = "a", .sequence = 1};
  late.phase = WorkerPhase::kRunning;
  Heartbeat beat = late;
  beat.sequence = 2;
  late.report.emplace().transactional_ids = {"w0-0"};
  const auto hear = [&](const Heartbeat& one) {
    bench.Take(bench.coordinator->OnHeartbeat(one, false, bench.now, bench.Wall()));
    bench.Work();
  };
  hear(beat);
  CHECK(bench.Tasks(0).empty());  // it may not own before it said its ids
  hear(late);
  CHECK(bench.Tasks(0).size() == 2);
  // An older one than the one that is known tells nothing.
  Heartbeat newer = late;
  newer.sequence = 5;
  newer.report->node = "here";
  hear(newer);
  late.sequence = 4;
  late.report->node = "there";
  hear(late);
  CHECK(bench.coordinator->workers().at(WorkerId(0)).report->node == "here");
}

TEST_CASE("coordinator: a replaced process is not listened to, after a restart as little") {
  Bench bench(2, 1);
  bench.Beat(0, 0);
  bench.incarnation = "second";
  bench.Beat(0, 1);
  CHECK(bench.stored.assignment.workers.at(WorkerId(0)).incarnation == "second");
  CHECK(bench.stored.assignment.workers.at(WorkerId(0)).replaced ==
        std::vector<std::string>{"first"});
  CHECK(bench.Tasks(0).size() == 2);
  bench.incarnation = "first";
  bench.Beat(0, 1, WorkerPhase::kGone);
  CHECK(bench.coordinator->workers().at(WorkerId(0)).incarnation == "second");
  CHECK(bench.Standing(0) == WorkerStanding::kAlive);

  bench.Restart();
  bench.Beat(0, 1, WorkerPhase::kGone);
  CHECK(bench.Standing(0) == WorkerStanding::kUnknown);
  bench.incarnation = "second";
  bench.Beat(0, 1);
  CHECK(bench.Standing(0) == WorkerStanding::kAlive);
}

TEST_CASE(
    "coordinator: however many processes ended, what one said late names none of them again") {
  Bench bench(2, 1);
  const auto say = [&](int process, int64_t acknowledged, WorkerPhase phase) {
    bench.incarnation = "process-" + std::to_string(process);
    bench.Beat(0, acknowledged, phase);
  };
  const auto named = [&] { return bench.stored.assignment.workers.at(WorkerId(0)).incarnation; };
  constexpr int kProcesses = 20;
  std::vector<int64_t> read;
  for (int process = 0; process < kProcesses; ++process) {
    if (process > 0) say(process - 1, read.back(), WorkerPhase::kGone);
    read.push_back(bench.Generation());
    say(process, 0, WorkerPhase::kStarting);
    say(process, read.back(), WorkerPhase::kRunning);
    CHECK(named() == bench.incarnation);
  }
  const std::string last = bench.incarnation;
  SUBCASE("while the last one lives") {}
  SUBCASE("after it ended, too") { say(kProcesses - 1, read.back(), WorkerPhase::kGone); }
  SUBCASE("and by a coordinator that never heard of them") { bench.Restart(); }
  for (int process = 0; process < kProcesses - 1; ++process) {
    say(process, 0, WorkerPhase::kStarting);
    say(process, read[static_cast<size_t>(process)], WorkerPhase::kRunning);
    CHECK(named() == last);
  }
  // The next one is named as soon as it has read whom it follows.
  say(kProcesses, bench.Generation(), WorkerPhase::kRunning);
  CHECK(named() == bench.incarnation);
}

// Worker 0 has four tasks; two of them are to go to worker 1.
struct Moving : Bench {
  Moving() : Bench(4, 1) {
    Beat(0, 0);
    Beat(0, 1);
    SetWorkers(2);
    Beat(1, 0);
    CHECK(Tasks(0).size() == 2);
  }
};

TEST_CASE("coordinator: what was only read and obeyed releases nothing; what was proved does") {
  Moving bench;
  bench.unproven = {"w0-0", "w0-1"};
  bench.Beat(0, bench.Generation());
  CHECK(bench.Tasks(1).empty());
  bench.unproven = {"w0-1"};  // one producer of two
  bench.Beat(0, bench.Generation());
  CHECK(bench.Tasks(1).empty());
  CHECK(bench.fenced.empty());  // it lives and will prove
  bench.unproven = {};
  bench.Beat(0, bench.Generation());
  CHECK(bench.Tasks(1).size() == 2);
}

TEST_CASE("coordinator: a goodbye proves nothing either: what was not committed is fenced") {
  Moving bench;
  bench.unproven = {"w0-0", "w0-1"};
  bench.Beat(0, bench.Generation(), WorkerPhase::kGone);
  REQUIRE(bench.fenced.size() == 1);
  CHECK(bench.fenced[0].transactional_ids == std::vector<std::string>{"w0-0", "w0-1"});
  CHECK(bench.Tasks(1).size() == 2);
}

TEST_CASE("coordinator: what is said of another life of the topic proves nothing about this one") {
  Bench bench(4, 1);
  bench.stored.claim = Claim{.transactional_id = "c", .life = "now"};
  bench.Restart();
  bench.life = "now";
  bench.Beat(0, 0);
  bench.Beat(0, 1);
  CHECK(bench.stored.assignment.life == "now");
  bench.SetWorkers(2);
  bench.Beat(1, 0);
  bench.life = "before";
  bench.Beat(0, bench.Generation());
  CHECK(bench.Tasks(1).empty());
  bench.life = "now";
  bench.Beat(0, bench.Generation());
  CHECK(bench.Tasks(1).size() == 2);
}

TEST_CASE("coordinator: only ids that follow from the worker's number are recorded") {
  Bench bench(2, 1);
  bench.options.topic_prefix = "p";
  bench.Restart();
  WorkerReport report;
  report.transactional_ids = {"p-worker-0-loop-0", "p-worker-0-loop-x", "p-worker-1-loop-0",
                              "bank-payments", "p-worker-0-loop-"};
  Heartbeat beat{.worker = WorkerId(0),
                 .incarnation = "a",
                 .sequence = 1,
                 .phase = WorkerPhase::kRunning,
                 .report = report};
  bench.Take(bench.coordinator->OnHeartbeat(beat, false, bench.now, bench.Wall()));
  bench.Work();
  CHECK(bench.stored.assignment.workers.at(WorkerId(0)).transactional_ids ==
        std::vector<std::string>{"p-worker-0-loop-0"});
}

TEST_CASE("coordinator: nobody grows silent while nobody can be heard") {
  Bench bench(4, 2);
  bench.BeatAll({0, 1});
  bench.Pass(seconds(2), {0, 1});
  // Kafka is away for longer than a homecoming; ticks go on.
  for (int i = 0; i < 1000; ++i) {
    bench.now += milliseconds(500);
    bench.Take(bench.coordinator->OnTick(bench.now, bench.Wall()));
    bench.Work();
  }
  CHECK(bench.Standing(0) == WorkerStanding::kAlive);
  // It is back; worker 1 needs a few seconds more.
  bench.Pass(seconds(5), {0});
  CHECK(bench.Standing(1) == WorkerStanding::kAlive);
  CHECK(bench.Generation() == 1);
  bench.Pass(seconds(3), {0});
  CHECK(bench.Standing(1) == WorkerStanding::kSilent);
}

TEST_CASE("coordinator: a session that was made shorter holds for who was started with it") {
  Bench bench(4, 2);
  bench.session = seconds(60);
  bench.options.session_timeout = seconds(60);
  bench.Restart();
  bench.BeatAll({0, 1});
  // It is edited while both run, and beat every twenty seconds as they were told at their start.
  bench.options.session_timeout = seconds(6);
  bench.SetWorkers(2);
  for (int i = 0; i < 4; ++i) {
    bench.BeatAll({0, 1});
    bench.Pass(seconds(19));
    CHECK(bench.Standing(0) == WorkerStanding::kAlive);
    CHECK(bench.Standing(1) == WorkerStanding::kAlive);
  }
  // So it is for a coordinator that began after that.
  bench.Beat(1, bench.Generation());
  bench.Restart();
  bench.Beat(1, bench.Generation(), WorkerPhase::kRunning, /*historical=*/true);
  bench.Pass(seconds(19), {0});
  CHECK_FALSE(bench.Told("WorkerSilent"));
  // The process that came with the edit beats each second.
  bench.session = seconds(6);
  bench.incarnation = "second";
  bench.BeatAll({0, 1});
  bench.Pass(seconds(8), {0});
  CHECK(bench.Standing(1) == WorkerStanding::kSilent);
}

TEST_CASE("coordinator: who says what cannot be understood lives, and keeps what it has") {
  Bench bench(4, 2);
  bench.BeatAll({0, 1});
  bench.Pass(seconds(2), {0, 1});
  const int64_t before = bench.Generation();
  const auto unreadable = [&](Duration time) {
    for (Duration passed{}; passed < time; passed += seconds(1)) {
      bench.coordinator->OnUnreadable(WorkerId(1));
      bench.Pass(seconds(1), {0});
    }
  };
  bench.coordinator->OnUnreadable(WorkerId(1));
  CHECK(bench.Standing(1) == WorkerStanding::kAlive);  // what was spoiled once matters nothing
  SUBCASE("without a goodbye of the process before") {}
  SUBCASE("after one") { bench.Beat(1, before, WorkerPhase::kGone); }
  SUBCASE("and the coordinator began only now") { bench.Restart(); }
  unreadable(seconds(120));  // two homecomings
  CHECK(bench.Tasks(1).size() == 2);
  CHECK(bench.Generation() == before);
  CHECK(bench.fenced.empty());
  // When it says nothing any more, it is as silent as any other.
  bench.Pass(seconds(80), {0});
  CHECK(bench.Tasks(0).size() == 4);
}

TEST_CASE("coordinator: after a silence of all the first one back gets nothing of the others") {
  Bench bench(4, 2);
  bench.BeatAll({0, 1});
  bench.Pass(seconds(2), {0, 1});
  bench.Pass(seconds(600));  // a power cut, ten homecomings long
  CHECK(bench.Standing(1) == WorkerStanding::kLost);
  bench.Pass(seconds(40), {0});
  CHECK(bench.Tasks(1).size() == 2);
  CHECK(bench.Generation() == 1);
  bench.Pass(seconds(2), {0, 1});
  CHECK(bench.Generation() == 1);
  CHECK(bench.coordinator->settled());
  // One that stays away is lost all the same, a homecoming after the others are back.
  bench.Pass(seconds(600));
  bench.Pass(seconds(90), {0});
  CHECK(bench.Tasks(0).size() == 4);
}

TEST_CASE("coordinator: a worker that comes back again and again and never runs is lost in time") {
  Bench bench(4, 2);
  bench.BeatAll({0, 1});
  bench.Pass(seconds(2), {0, 1});
  for (int i = 0; i < 6 && bench.Standing(1) != WorkerStanding::kLost; ++i) {
    bench.Pass(seconds(12), {0});
    Heartbeat beat{.worker = WorkerId(1),
                   .incarnation = "crash-" + std::to_string(i),
                   .sequence = 1,
                   .phase = WorkerPhase::kStarting,
                   .report = WorkerReport()};
    bench.Take(bench.coordinator->OnHeartbeat(beat, false, bench.now, bench.Wall()));
    bench.Work();
  }
  bench.Pass(seconds(12), {0});
  CHECK(bench.Tasks(0).size() == 4);
  // It stays at last: once it has proved that, nothing else needs to happen for it to get tasks.
  bench.incarnation = "mended";
  bench.Pass(seconds(55), {0, 1});
  CHECK(bench.Tasks(1).empty());
  bench.Pass(seconds(10), {0, 1});
  CHECK(bench.Tasks(1).size() == 2);
}

}  // namespace
}  // namespace coho
