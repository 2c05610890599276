#include <doctest/doctest.h>

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
  Assignment before{.generation = Generation(4), .reason = "start"};
  before.workers[WorkerId(0)] = {Generation(3), {TaskId(0)}, {}, {"p-worker-0-loop-0"}};
  before.workers[WorkerId(1)] = {Generation(4), {TaskId(1)}, {}, {"p-worker-1-loop-0"}};
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
          .value = R"({"generation":5,"reason":"worker 1 was removed","v":1,"writtenAtMs":1234})"});
}

TEST_CASE("Coordinator topic: model and locality are read back the same; tombstones forget them") {
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  test::Random random(seed);
  for (int i = 0; i < 300; ++i) {
    CoordinatorState expected;
    const Job job = random.MakeJob();
    std::map<std::string, int32_t> partitions;
    for (const InputSpec& input : job.inputs)
      partitions[input.topic] = static_cast<int32_t>(random.Int(1, 1000));
    expected.model = MakeJobModel(job, partitions);
    expected.locality = random.MakeLocality();
    const CoordinatorState state =
        Fold({}, {EncodeModel(*expected.model), EncodeLocality(expected.locality)});
    REQUIRE(state == expected);
    REQUIRE(Fold(state, {{.key = "model", .tombstone = true},
                         {.key = "locality", .tombstone = true}}) == CoordinatorState{});
  }
}

TEST_CASE("Coordinator topic: a hundred thousand tasks' locality is a few megabytes") {
  Locality locality;
  for (int32_t i = 0; i < 100'000; ++i) {
    locality[TaskId(i)] = {
        WorkerId(i % 1000), "node-" + std::to_string(i % 1000) + ".example.internal",
        "zone-a",           "pvc-3e0b6a0e-8c4e-4a0e-9a5e-0123456789" + std::to_string(i % 1000),
        1'000'000'000,      1'000'000'000,
        1'700'000'000'000};
  }
  const TopicRecord record = EncodeLocality(locality);
  CHECK(record.value.size() < 8 << 20);
  CHECK(Fold({}, {record}).locality == locality);
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
      {{"model", R"({"v":2})"},
       "coordinator record \"model\": value.v: found 2, need 1; a later version of Coho wrote it, "
       "which this one cannot read"},
      {{"model", R"({"v":1,"tasks":0})"},
       "coordinator record \"model\": value.tasks: found 0, need a whole number from 1 to "
       "2147483647"},
      {{"model", R"({"v":1,"tasks":1,"inputPartitions":{"a":"b"}})"},
       "coordinator record \"model\": value.inputPartitions: found {\"a\":\"b\"}, need an object "
       "of partition counts"},
      {{"worker/x", R"({"v":1})"},
       "coordinator record \"worker/x\": the key must end in a worker's number"},
      {{"worker/-1", R"({"v":1})"},
       "coordinator record \"worker/-1\": the key must end in a worker's number"},
      {{"worker/1", R"({"v":1,"generation":1,"active":["a"]})"},
       "coordinator record \"worker/1\": value.active: found [\"a\"], need a list of task numbers"},
      {{"worker/1", R"({"v":1,"generation":1,"active":[-1]})"},
       "coordinator record \"worker/1\": value.active: found [-1], need a list of task numbers"},
      {{"assignment", R"({"v":1})"},
       "coordinator record \"assignment\": value.generation: found nothing, need a generation"},
      {{"locality", R"({"v":1,"names":["a"],"tasks":[[0,0,0,0,1,0,0,0]]})"},
       "coordinator record \"locality\": value.tasks[0]: found [0,0,0,0,1,0,0,0], need 8 whole "
       "numbers: task, worker, three indices into "
       "names, position, bytes, time"},
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
      R"({"v":1,"worker":1,"incarnation":"a","sequence":1,"phase":"Running","acknowledged":2)";
  CHECK(
      DecodeHeartbeat(good + R"(,"moon":"full","report":{"moon":1,"tasks":[{"task":1,"moon":2}]}})")
          .ok());
  const std::pair<std::string, const char*> rows[] = {
      {"", "heartbeat: the value is not valid JSON: syntax error near line 1, column 1"},
      {R"({"v":1})", "heartbeat: value.worker: found nothing, need a value"},
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
    records.push_back(EncodeLocality(random.MakeLocality()));
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
  const JobModel model = MakeJobModel(job, {{"a", 4}, {"b", 8}, {"other", 99}});
  CHECK(model.tasks == 8);
  CHECK(model.input_partitions == std::map<std::string, int32_t>{{"a", 4}, {"b", 8}});
  CHECK(model.changelogs == std::map<std::string, std::string>{{"s", "p-s-changelog"}});
}

}  // namespace
}  // namespace coho
