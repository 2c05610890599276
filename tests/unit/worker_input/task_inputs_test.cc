#include "worker/input/task_inputs.h"

#include <doctest/doctest.h>

#include <string>

namespace coho {
namespace {

Job TwoInputs() {
  Job job;
  job.inputs = {{.topic = "wide"}, {.topic = "narrow"}};
  return job;
}

JobModel Model() {
  return {.tasks = 4,
          .inputs = {{"wide", {.topic_id = "", .partitions = 4}},
                     {"narrow", {.topic_id = "", .partitions = 2}}}};
}

TEST_CASE("ChoosePosition: where a task begins to read") {
  struct Row {
    const char* name;
    StartFrom start_from;
    std::optional<int64_t> stored;
    kafka::OffsetRange range;
    int64_t offset;
    int64_t lost;
  };
  const Row rows[] = {
      {"never ran, earliest", StartFrom::kEarliest, std::nullopt, {5, 90}, 5, 0},
      {"never ran, latest", StartFrom::kLatest, std::nullopt, {5, 90}, 90, 0},
      {"its position wins over startFrom", StartFrom::kLatest, 30, {5, 90}, 30, 0},
      {"at the end", StartFrom::kEarliest, 90, {5, 90}, 90, 0},
      {"retention was faster", StartFrom::kEarliest, 2, {5, 90}, 5, 3},
      {"an empty topic", StartFrom::kLatest, std::nullopt, {0, 0}, 0, 0},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const StoredPosition stored{.topic = "t", .partition = 1, .next = row.stored.value_or(0)};
    const auto start = ChoosePosition({.topic = "t", .start_from = row.start_from}, {"t", 1}, "id",
                                      row.stored ? &stored : nullptr, row.range);
    REQUIRE(start.ok());
    CHECK(start->offset == row.offset);
    CHECK(start->lost == row.lost);
  }
}

TEST_CASE("ChoosePosition: refuses a topic that was made anew, and says what to do") {
  StoredPosition stored{.topic = "t", .topic_id = "old", .partition = 1, .next = 91};
  const auto refused = [&](const std::string& id) {
    return ChoosePosition({.topic = "t"}, {"t", 1}, id, &stored, {5, 90}).status();
  };
  CHECK(refused("old").code() == Code::kInvalidArgument);  // behind the end
  CHECK(refused("old").message().find("input t partition 1") != std::string::npos);
  CHECK(refused("old").message().find("re-created") != std::string::npos);
  stored.next = 80;  // a longer topic of the same name
  CHECK(refused("old").ok());
  CHECK(refused("").ok());  // not known
  CHECK(refused("new").code() == Code::kInvalidArgument);
  CHECK(refused("new").message().find("now has id new") != std::string::npos);
}

TEST_CASE("TaskInputs: task i reads partition i of the inputs that have one") {
  const Job job = TwoInputs();
  CHECK(TaskInputs(job, Model(), TaskId(1)).partitions() ==
        std::vector<TopicPartition>{{"wide", 1}, {"narrow", 1}});
  CHECK(TaskInputs(job, Model(), TaskId(3)).partitions() ==
        std::vector<TopicPartition>{{"wide", 3}});
}

TEST_CASE("TaskInputs: what a commit makes durable, and the way back to it") {
  const Job job = TwoInputs();
  TaskInputs inputs(job, Model(), TaskId(0));
  for (InputPosition& p : inputs.positions()) p.next = p.committed = 10;
  CHECK_FALSE(inputs.uncommitted());

  inputs.positions()[1].next = 12;
  CHECK(inputs.uncommitted());
  const Positions frozen = inputs.Now();
  REQUIRE(frozen.size() == 2);
  CHECK(FindPosition(frozen, "narrow", 0)->next == 12);
  CHECK(FindPosition(frozen, "wide", 0)->next == 10);

  inputs.positions()[0].next = 15;  // moved on since
  inputs.MarkCommitted(frozen);
  CHECK(inputs.uncommitted());
  inputs.Rewind();
  CHECK_FALSE(inputs.uncommitted());
  CHECK(inputs.positions()[0].next == 10);
  CHECK(inputs.positions()[1].next == 12);
}

TEST_CASE("TaskInputs: a start that is not durable yet is not given up by a rewind") {
  const Job job = TwoInputs();
  TaskInputs inputs(job, Model(), TaskId(0));
  inputs.positions()[0].next = 77;
  CHECK(inputs.uncommitted());
  inputs.Rewind();
  CHECK(inputs.positions()[0].next == 77);
}

TEST_CASE("TaskInputs: lag is a sum, unknown while an end is unknown, never negative") {
  const Job job = TwoInputs();
  TaskInputs inputs(job, Model(), TaskId(0));
  CHECK(inputs.Lag() == -1);
  inputs.positions()[0] = {.partition = {"wide", 0}, .next = 4, .end = 10};
  CHECK(inputs.Lag() == -1);
  inputs.positions()[1] = {.partition = {"narrow", 0}, .next = 9, .end = 7};
  CHECK(inputs.Lag() == 6);
}

}  // namespace
}  // namespace coho
