#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "common/model/assignment.h"
#include "common/model/job.h"
#include "tests/unit/model/random_values.h"

namespace coho {
namespace {

CoordinatorState Fold(CoordinatorState state, const std::vector<TopicRecord>& records) {
  for (const TopicRecord& record : records) {
    const Status folded = ApplyCoordinatorRecord(record, &state);
    REQUIRE_MESSAGE(folded.ok(), folded.ToString());
  }
  return state;
}

TEST_CASE("Coordinator topic: folding a change's records turns before into after") {
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  test::Random random(seed);
  for (int i = 0; i < 500; ++i) {
    CoordinatorState before;
    before.assignment = random.MakeAssignment();
    const Assignment after = random.MakeAssignment();
    const auto records = EncodeAssignmentChange(before.assignment, after, FromUnixMillis(1));
    REQUIRE(Fold(before, records).assignment == after);
    REQUIRE(records.back().key == "assignment");
    CHECK(EncodeAssignmentChange(after, after, FromUnixMillis(1)).empty());
  }
}

TEST_CASE(
    "Coordinator topic: an unchanged worker is not written again, a vanished one gets a "
    "tombstone") {
  Assignment before{.generation = Generation(4), .reason = "start", .life = "l"};
  before.workers[WorkerId(0)] = {Generation(3), {TaskId(0)}, {}, {"p-worker-0-loop-0"}, "a", {}};
  before.workers[WorkerId(1)] = {Generation(4), {TaskId(1)}, {}, {"p-worker-1-loop-0"}, "b", {}};
  Assignment after = before;
  after.generation = Generation(5);
  after.reason = "worker 1 was removed";
  after.workers.erase(WorkerId(1));
  const auto records = EncodeAssignmentChange(before, after, FromUnixMillis(1234));
  REQUIRE(records.size() == 2);
  CHECK(records[0] == TopicRecord{.key = "worker/1", .value = "", .tombstone = true});
  CHECK(
      records[1] ==
      TopicRecord{
          .key = "assignment",
          .value =
              R"({"generation":5,"life":"l","reason":"worker 1 was removed","v":2,"writtenAtMs":1234})"});
}

TEST_CASE("Coordinator topic: claim, model and copies are read back the same; tombstones forget") {
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  test::Random random(seed);
  for (int i = 0; i < 300; ++i) {
    CoordinatorState expected;
    const Job job = random.MakeJob();
    std::map<std::string, int32_t> partitions;
    TopicIds ids{.kafka_cluster_id = random.Text(), .topics = {}};
    for (const InputSpec& input : job.inputs) {
      partitions[input.topic] = static_cast<int32_t>(random.Int(1, 1000));
      ids.topics[input.topic] = random.Text();
    }
    expected.claim = Claim{random.Text(), random.Text(), random.Text(),
                           random.Text(), random.Text(), random.Text()};
    expected.model = MakeJobModel(job, partitions, ids);
    expected.copies[WorkerId(3)] = random.MakeCopies();
    const std::vector<TopicRecord> records = {
        EncodeClaim(*expected.claim), EncodeModel(*expected.model),
        EncodeCopies(WorkerId(3), expected.copies.at(WorkerId(3)))};
    const CoordinatorState state = Fold({}, records);
    REQUIRE(state == expected);
    REQUIRE(Fold(state, {{.key = "claim", .tombstone = true},
                         {.key = "model", .tombstone = true},
                         ForgetCopies(WorkerId(3))}) == CoordinatorState{});
    CoordinatorState without_copies;
    for (const TopicRecord& record : records)
      REQUIRE(ApplyCoordinatorRecord(record, &without_copies, FoldCopies::kNo).ok());
    CHECK(without_copies.copies.empty());
    CHECK(without_copies.model == expected.model);
  }
}

TEST_CASE("Coordinator topic: the copies on a disk with very many tasks fit into one message") {
  WorkerCopies copies{.disk_id = "0123456789abcdef0123456789abcdef", .tasks = {}};
  for (int32_t i = 0; i < 100'000; ++i) {
    copies.tasks[TaskId(i)].stores = {{"visits", 1'000'000'000, i, 1'700'000'000'000}};
  }
  const TopicRecord record = EncodeCopies(WorkerId(1), copies);
  CHECK(record.value.size() < 1'000'000);
  const Copies read = Fold({}, {record}).copies;
  // The largest stayed.
  CHECK(read.at(WorkerId(1)).tasks.contains(TaskId(99'999)));
  CHECK_FALSE(read.at(WorkerId(1)).tasks.contains(TaskId(0)));
}

TEST_CASE("Locality: the furthest copy counts; of equal ones the owner's") {
  Assignment assignment{.generation = Generation(1), .reason = ""};
  assignment.workers[WorkerId(1)].active = {TaskId(0), TaskId(1)};
  Copies copies;
  copies[WorkerId(0)] = {.disk_id = "d0", .node = "n0", .tasks = {}};
  copies[WorkerId(1)] = {.disk_id = "d1", .node = "n1", .tasks = {}};
  copies[WorkerId(0)].tasks[TaskId(0)].stores = {{"s", 100, 7, 0}};
  copies[WorkerId(1)].tasks[TaskId(0)].stores = {{"s", 99, 7, 0}};
  copies[WorkerId(0)].tasks[TaskId(1)].stores = {{"s", 5, 7, 0}};
  copies[WorkerId(1)].tasks[TaskId(1)].stores = {{"s", 5, 7, 0}};
  const Locality locality = LocalityOf(copies, assignment);
  CHECK(locality.at(TaskId(0)).node == "n0");
  CHECK(locality.at(TaskId(0)).changelog_position == 100);
  CHECK(locality.at(TaskId(1)).node == "n1");
}

TEST_CASE("Coordinator topic: keys of a later version are passed over, damage is named") {
  CoordinatorState state;
  CHECK(ApplyCoordinatorRecord({.key = "moonphase", .value = "?"}, &state).ok());
  const struct {
    TopicRecord record;
    const char* message;
  } rows[] = {
      {{"model", "{"},
       "coordinator record \"model\": the value is not valid JSON: syntax error near line 1, "
       "column 2"},
      {{"model", "[]"}, "coordinator record \"model\": value: found [], need an object"},
      {{"model", "{}"},
       "coordinator record \"model\": value.v: found nothing, need the version of the wire form"},
      {{"model", R"({"v":3})"},
       "coordinator record \"model\": value.v: found 3, need 2; a later version of Coho wrote it, "
       "which this one cannot read: update this one"},
      {{"model", R"({"v":1})"},
       "coordinator record \"model\": value.v: found 1, need 2; a version of Coho from before the "
       "first release wrote it: begin with new topics"},
      {{"claim", R"({"v":2,"transactionalId":"a"})"},
       "coordinator record \"claim\": value.life: found nothing, need the id of the topic's life"},
      {{"model", R"({"v":2,"tasks":0})"},
       "coordinator record \"model\": value.tasks: found 0, need a whole number from 1 to "
       "2147483647"},
      {{"model", R"({"v":2,"tasks":1,"inputs":{"a":"b"}})"},
       "coordinator record \"model\": value.inputs.a: found \"b\", need an object"},
      {{"model", R"({"v":2,"tasks":1,"inputs":{"a":{"partitions":1,"key":"xml"}}})"},
       "coordinator record \"model\": value.inputs.a.key: found \"xml\", need one of bytes, "
       "string, "
       "int64, json"},
      {{"worker/x", R"({"v":2})"},
       "coordinator record \"worker/x\": the key must end in a worker's number"},
      {{"worker/-1", R"({"v":2})"},
       "coordinator record \"worker/-1\": the key must end in a worker's number"},
      {{"worker/1", R"({"v":2,"generation":1,"active":["a"]})"},
       "coordinator record \"worker/1\": value.active: found [\"a\"], need a list of task numbers"},
      {{"worker/1", R"({"v":2,"generation":1,"active":[-1]})"},
       "coordinator record \"worker/1\": value.active: found [-1], need a list of task numbers"},
      {{"assignment", R"({"v":2})"},
       "coordinator record \"assignment\": value.generation: found nothing, need a generation"},
      {{"state/1", R"({"v":2,"stores":["a"],"tasks":[[0,1,0,0,0]]})"},
       "coordinator record \"state/1\": value.tasks[0]: found [0,1,0,0,0], need whole numbers: "
       "task, "
       "index into stores, position, bytes, marker time"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.record.value);
    const Status status = ApplyCoordinatorRecord(row.record, &state);
    CHECK(status.code() == Code::kCorruption);
    CHECK(status.message() == row.message);
    CHECK(state == CoordinatorState{});
  }
}

TEST_CASE("Heartbeat: read back the same; without a report it is small") {
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  test::Random random(seed);
  for (int i = 0; i < 500; ++i) {
    const Heartbeat beat = random.MakeHeartbeat();
    const TopicRecord record = EncodeHeartbeat(beat);
    CAPTURE(record.value);
    const auto decoded = DecodeHeartbeat(record.value);
    REQUIRE_MESSAGE(decoded.ok(), decoded.status().ToString());
    REQUIRE(*decoded == beat);
    REQUIRE(record.key == ToString(beat.worker));
  }
  CHECK(EncodeHeartbeat(
            {.worker = WorkerId(3), .incarnation = "0123456789abcdef", .sequence = 100'000})
            .value.size() < 120);
}

TEST_CASE("Heartbeat: text that is not UTF-8 does not keep a worker from reporting") {
  Heartbeat beat;
  beat.report.emplace().problem = "record \xff\xfe is broken";
  const auto decoded = DecodeHeartbeat(EncodeHeartbeat(beat).value);
  REQUIRE(decoded.ok());
  CHECK(decoded->report->problem == "record \xEF\xBF\xBD\xEF\xBF\xBD is broken");
}

TEST_CASE("Heartbeat: fields of a later version are ignored, wrong ones are named") {
  const std::string good =
      R"({"v":2,"worker":1,"incarnation":"a","sequence":1,"phase":"Running","acknowledged":2)";
  CHECK(
      DecodeHeartbeat(good + R"(,"moon":"full","report":{"moon":1,"tasks":[{"task":1,"moon":2}]}})")
          .ok());
  const std::pair<std::string, const char*> rows[] = {
      {"", "heartbeat: the value is not valid JSON: syntax error near line 1, column 1"},
      {R"({"v":2})", "heartbeat: value.worker: found nothing, need a value"},
      {good + R"(,"proven":{"a":"b"}})",
       "heartbeat: value.proven: found {\"a\":\"b\"}, need an object of generations"},
      {good + R"(,"report":7})", "heartbeat: value.report: found 7, need an object"},
      {good + R"(,"report":{"tasks":[{"task":-1}]}})",
       "heartbeat: value.report.tasks[0].task: found -1, need a whole number from 0 to 2147483647"},
      {good + R"(,"report":{"tasks":[{"task":1,"state":"Dancing"}]}})",
       "heartbeat: value.report.tasks[0].state: found \"Dancing\", need one of Closed, Starting, "
       "Restoring, Running, Standby, "
       "Closing, Failed"},
  };
  for (const auto& [value, message] : rows) {
    CAPTURE(value);
    const auto beat = DecodeHeartbeat(value);
    REQUIRE_FALSE(beat.ok());
    CHECK(beat.status().code() == Code::kCorruption);
    CHECK(beat.status().message() == message);
  }
}

TEST_CASE("Wire: damaged records never crash a reader and leave the state as it was") {
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  test::Random random(seed);
  const auto damage = [&](std::string text) {
    for (int64_t n = random.Int(1, 6); n > 0 && !text.empty(); --n) {
      const auto at = static_cast<size_t>(random.Int(0, static_cast<int64_t>(text.size()) - 1));
      if (random.Flip()) {
        text[at] = static_cast<char>(random.Int(0, 255));
      } else {
        text.erase(at, static_cast<size_t>(random.Int(1, 10)));
      }
    }
    return text;
  };
  for (int i = 0; i < 2000; ++i) {
    CoordinatorState state;
    state.assignment = random.MakeAssignment();
    const CoordinatorState before = state;
    std::vector<TopicRecord> records =
        EncodeAssignmentChange({}, random.MakeAssignment(), FromUnixMillis(1));
    records.push_back(EncodeCopies(WorkerId(1), random.MakeCopies()));
    records.push_back(EncodeClaim({.transactional_id = "t", .life = "l"}));
    for (TopicRecord& record : records) {
      record.value = damage(record.value);
      CoordinatorState copy = state;
      if (!ApplyCoordinatorRecord(record, &copy).ok()) REQUIRE(copy == before);
    }
    (void)DecodeHeartbeat(damage(EncodeHeartbeat(random.MakeHeartbeat()).value));
  }
}

TEST_CASE(
    "Job model: as many tasks as the widest input has partitions; a changelog per store that has "
    "one") {
  Job job;
  job.kafka.topic_prefix = "p";
  job.inputs = {{.topic = "a"}, {.topic = "b"}};
  job.stores = {{.name = "s"}, {.name = "cache", .changelog = false}};
  const JobModel model = MakeJobModel(job, {{"a", 4}, {"b", 8}, {"other", 99}},
                                      {.kafka_cluster_id = "k", .topics = {{"b", "id-of-b"}}});
  CHECK(model.tasks == 8);
  CHECK(model.inputs.size() == 2);
  CHECK(model.inputs.at("b").partitions == 8);
  CHECK(model.inputs.at("b").topic_id == "id-of-b");
  CHECK(model.stores.at("s").changelog == "p-s-changelog");
  CHECK(model.stores.at("cache").changelog.empty());
  CHECK(model.positions_topic == "p-s-changelog");
  CHECK(MissingInModel(job, model).empty());
  job.stores.push_back({.name = "new"});
  CHECK(MissingInModel(job, model) == "store new");
  job.stores = {};
  CHECK(MakeJobModel(job, {{"a", 4}, {"b", 8}}).positions_topic == "p-positions");
}

// tests/testdata/wire/<name> holds each record's format; COHO_UPDATE_GOLDEN=1 writes it instead. A
// change of it needs a new format version, unless older readers may ignore it.
TEST_CASE("Wire: the formats on record stay readable and are what is written") {
  const auto check = [](const std::string& name, const TopicRecord& record) {
    CAPTURE(name);
    const std::string path = "tests/testdata/wire/" + name + ".json";
    const std::string text = record.key + "\n" + record.value + "\n";
    if (std::getenv("COHO_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
    std::stringstream found;
    found << std::ifstream(path).rdbuf();
    CHECK(found.str() == text);
  };
  check("claim", EncodeClaim({"job-uid", "coho-system", "kube-uid", "kafka-id",
                              "coho-operator-coho-system", "0123456789abcdef"}));
  JobModel model{.tasks = 2, .kafka_cluster_id = "kafka-id"};
  model.inputs["requests"] = {"topic-id-1", 2, SerdeType::kString, SerdeType::kJson};
  model.stores["visits"] = {"p-visits-changelog", "topic-id-2", SerdeType::kString,
                            SerdeType::kInt64};
  model.positions_topic = "p-visits-changelog";
  model.positions_topic_id = "topic-id-2";
  check("model", EncodeModel(model));
  Assignment after{.generation = Generation(7), .reason = "worker 1 joined", .life = "0123"};
  after.workers[WorkerId(1)] = {
      Generation(7), {TaskId(0), TaskId(1)}, {}, {"p-worker-1-loop-0"}, "cafe", {"beef"}};
  const auto records = EncodeAssignmentChange({}, after, FromUnixMillis(1'700'000'000'000));
  REQUIRE(records.size() == 2);
  check("worker", records[0]);
  check("assignment", records[1]);
  WorkerCopies copies{"disk", "node1", "zone-a", "pv-1", 1'700'000'000'000, {}};
  copies.tasks[TaskId(0)].stores = {{"visits", 120, 4096, 1'699'999'999'000}};
  copies.tasks[TaskId(1)];
  check("state", EncodeCopies(WorkerId(1), copies));
  Heartbeat beat{.worker = WorkerId(1),
                 .incarnation = "cafe",
                 .sequence = 12,
                 .phase = WorkerPhase::kRunning,
                 .life = "0123",
                 .acknowledged = Generation(7),
                 .proven = {{"p-worker-1-loop-0", Generation(7)}}};
  beat.session = std::chrono::seconds(6);
  check("heartbeat", EncodeHeartbeat(beat));
  WorkerReport& report = beat.report.emplace();
  report.node = "node1";
  report.disk_id = "disk";
  report.transactional_ids = {"p-worker-1-loop-0"};
  report.tasks = {{.task = TaskId(0),
                   .state = TaskState::kRunning,
                   .restore_source = RestoreSource::kLocal,
                   .lag = 3,
                   .changelog_position = 120,
                   .state_bytes = 4096,
                   .stores = {{"visits", 120, 4096, 1'699'999'999'000}}}};
  report.on_disk = {{.task = TaskId(5)}};
  check("heartbeat-with-report", EncodeHeartbeat(beat));
}

}  // namespace
}  // namespace coho
