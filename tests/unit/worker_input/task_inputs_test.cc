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
  return {.tasks = 4, .inputs = {{"wide", {.topic_id = "", .partitions = 4}}, {"narrow", {.topic_id = "", .partitions = 2}}}};
}

TEST_CASE("ChooseStart: where a task begins to read") {
  struct Row {
    const char* name;
    StartFrom start_from;
    std::optional<int64_t> committed;
    kafka::OffsetRange range;
    int64_t offset;
    int64_t lost;
  };
  const Row rows[] = {
      {"nothing committed, earliest", StartFrom::kEarliest, std::nullopt, {5, 90}, 5, 0},
      {"nothing committed, latest", StartFrom::kLatest, std::nullopt, {5, 90}, 90, 0},
      {"committed wins over startFrom", StartFrom::kLatest, 30, {5, 90}, 30, 0},
      {"committed at the end", StartFrom::kEarliest, 90, {5, 90}, 90, 0},
      {"retention was faster", StartFrom::kEarliest, 2, {5, 90}, 5, 3},
      {"an empty topic", StartFrom::kLatest, std::nullopt, {0, 0}, 0, 0},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const auto start = ChooseStart({.topic = "t", .start_from = row.start_from}, {"t", 1},
                                   row.committed, row.range);
    REQUIRE(start.ok());
    CHECK(start->offset == row.offset);
    CHECK(start->lost == row.lost);
  }
}

TEST_CASE("ChooseStart: refuses a topic that was made anew, and says what to do") {
  const auto start = ChooseStart({.topic = "t"}, {"t", 1}, 91, {5, 90});
  REQUIRE_FALSE(start.ok());
  CHECK(start.status().code() == Code::kInvalidArgument);
  CHECK(start.status().message().find("input t partition 1") != std::string::npos);
  CHECK(start.status().message().find("re-created") != std::string::npos);
}

TEST_CASE("TaskInputs: task i reads partition i of the inputs that have one") {
  const Job job = TwoInputs();
  CHECK(TaskInputs(job, Model(), TaskId(1)).partitions() ==
        std::vector<TopicPartition>{{"wide", 1}, {"narrow", 1}});
  CHECK(TaskInputs(job, Model(), TaskId(3)).partitions() ==
        std::vector<TopicPartition>{{"wide", 3}});
}

TEST_CASE("TaskInputs: collects what differs from what is committed") {
  const Job job = TwoInputs();
  TaskInputs inputs(job, Model(), TaskId(0));
  for (InputPosition& p : inputs.positions()) p.next = p.committed = 10;
  CHECK_FALSE(inputs.uncommitted());

  inputs.positions()[1].next = 12;
  CHECK(inputs.uncommitted());
  std::map<TopicPartition, int64_t> offsets;
  inputs.Collect(&offsets);
  CHECK(offsets == std::map<TopicPartition, int64_t>{{{"narrow", 0}, 12}});

  inputs.MarkCommitted();
  CHECK_FALSE(inputs.uncommitted());
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
