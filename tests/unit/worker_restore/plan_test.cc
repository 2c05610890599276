#include "worker/restore/plan.h"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

namespace coho {
namespace {

using std::chrono::hours;

constexpr int64_t kNowMillis = 1'763'720'000'000;

RestoreInput Input() {
  return {.job_id = "web.visits",
          .changelog_topic = "changelog",
          .changelog_topic_id = "id",
          .kafka_cluster_id = "cluster",
          .partition = 3,
          .marker = StoreMarker{"web.visits", "changelog", 3, 150, kNowMillis - 3'600'000},
          .begin = 100,
          .end = 200,
          .delete_retention = hours(24),
          .now = FromUnixMillis(kNowMillis)};
}

TEST_CASE("PlanRestore: every branch") {
  struct Row {
    const char* name;
    void (*change)(RestoreInput*);
    RestoreMode mode;
    int64_t from;
    int64_t to;
    std::string reason;  // part of it
  };
  constexpr auto kUse = RestoreMode::kUseLocal;
  constexpr auto kReplay = RestoreMode::kReplayFromMarker;
  constexpr auto kWipe = RestoreMode::kWipeAndReplay;
  constexpr auto kRefuse = RestoreMode::kRefuse;
  const int64_t day = 24 * 3'600'000;
  static_assert(kNowMillis > 0);
  const std::vector<Row> rows = {
      {"behind", [](RestoreInput*) {}, kReplay, 150, 200, "behind"},
      {"at the end", [](RestoreInput* in) { in->marker->position = 200; }, kUse, 200, 200, "end"},
      {"at the begin", [](RestoreInput* in) { in->marker->position = 100; }, kReplay, 100, 200,
       "behind"},
      {"one before the begin", [](RestoreInput* in) { in->marker->position = 99; }, kWipe, 100, 200,
       "begins"},
      {"one after the end", [](RestoreInput* in) { in->marker->position = 201; }, kRefuse, 100, 200,
       "lost its end"},
      {"emptied, the store behind it", [](RestoreInput* in) { in->begin = 200; }, kRefuse, 200, 200,
       "emptied"},
      {"emptied behind the store",
       [](RestoreInput* in) { in->begin = 200, in->marker->position = 200; }, kUse, 200, 200,
       "end"},
      {"no marker", [](RestoreInput* in) { in->marker.reset(); }, kWipe, 100, 200,
       "no local state"},
      {"no marker, empty changelog", [](RestoreInput* in) { in->marker.reset(), in->end = 100; },
       kUse, 100, 100, "new"},
      {"no marker, changelog that was never written",
       [](RestoreInput* in) { in->marker.reset(), in->begin = in->end = 0; }, kUse, 0, 0, "new"},
      {"corrupt", [](RestoreInput* in) { in->marker.reset(), in->corrupt = true; }, kWipe, 100, 200,
       "corrupt"},
      {"corrupt, empty changelog",
       [](RestoreInput* in) { in->marker.reset(), in->corrupt = true, in->end = 100; }, kWipe, 100,
       100, "corrupt"},
      {"other job", [](RestoreInput* in) { in->marker->job_id = "web.clients"; }, kWipe, 100, 200,
       "another job"},
      {"other job, at the end",
       [](RestoreInput* in) { in->marker->job_id = "web.clients", in->marker->position = 200; },
       kWipe, 100, 200, "another job"},
      {"other topic", [](RestoreInput* in) { in->marker->changelog_topic = "other"; }, kWipe, 100,
       200, "another changelog"},
      {"other partition", [](RestoreInput* in) { in->marker->partition = 4; }, kWipe, 100, 200,
       "another partition"},
      {"topic made anew, nothing in it, no ids", [](RestoreInput* in) { in->begin = in->end = 0; },
       kRefuse, 0, 0, "lost its end"},
      {"topic made anew and longer than before",
       [](RestoreInput* in) { in->marker->changelog_topic_id = "old"; }, kWipe, 100, 200,
       "made anew"},
      {"topic made anew, nothing in it",
       [](RestoreInput* in) { in->marker->changelog_topic_id = "old", in->begin = in->end = 0; },
       kRefuse, 0, 0, "made anew"},
      {"topic ids are the same", [](RestoreInput* in) { in->marker->changelog_topic_id = "id"; },
       kReplay, 150, 200, "behind"},
      {"other cluster", [](RestoreInput* in) { in->marker->kafka_cluster_id = "other"; }, kWipe,
       100, 200, "another Kafka cluster"},
      {"exactly as old as is trusted",
       [](RestoreInput* in) { in->marker->commit_time_ms = kNowMillis - day * 9 / 10; }, kReplay,
       150, 200, "behind"},
      {"older than tombstones are kept, less a margin",
       [](RestoreInput* in) { in->marker->commit_time_ms = kNowMillis - day * 9 / 10 - 1; }, kWipe,
       100, 200, "tombstones"},
      {"old, but only its own control record follows",
       [](RestoreInput* in) { in->marker->commit_time_ms = 0, in->marker->position = 199; }, kUse,
       200, 200, "control record"},
      {"old, and one offset follows that may have been a tombstone",
       [](RestoreInput* in) {
         in->marker->commit_time_ms = 0, in->marker->position = 199, in->transactional = false;
       },
       kWipe, 100, 200, "tombstones"},
      {"old, and two offsets follow",
       [](RestoreInput* in) { in->marker->commit_time_ms = 0, in->marker->position = 198; }, kWipe,
       100, 200, "tombstones"},
      {"old, but at the end",
       [](RestoreInput* in) { in->marker->commit_time_ms = 0, in->marker->position = 200; }, kUse,
       200, 200, "end"},
      {"written by a clock a little ahead of ours",
       [](RestoreInput* in) { in->marker->commit_time_ms = kNowMillis + day / 10; }, kReplay, 150,
       200, "behind"},
      {"written by a clock so far ahead that its age is not known",
       [](RestoreInput* in) { in->marker->commit_time_ms = kNowMillis + day / 10 + 1; }, kWipe, 100,
       200, "tombstones"},
      {"tombstones kept for ever",
       [](RestoreInput* in) {
         in->marker->commit_time_ms = 0, in->delete_retention = Duration::max() / 4;
       },
       kReplay, 150, 200, "behind"},
      {"no changelog, new",
       [](RestoreInput* in) {
         in->changelog_topic.clear(), in->begin = in->end = 0, in->marker.reset();
       },
       kUse, 0, 0, "new"},
      {"no changelog, own marker",
       [](RestoreInput* in) { in->changelog_topic.clear(), in->begin = in->end = 0; }, kUse, 0, 0,
       "no changelog"},
      {"no changelog, other job's marker",
       [](RestoreInput* in) {
         in->changelog_topic.clear(), in->begin = in->end = 0, in->marker->job_id = "x.y";
       },
       kRefuse, 0, 0, "another job"},
      {"no changelog, at the task's positions",
       [](RestoreInput* in) {
         in->changelog_topic.clear(), in->begin = in->end = 0;
         in->marker->positions = {{"in", "i", 3, 7}}, in->positions = in->marker->positions;
       },
       kUse, 0, 0, "last commit"},
      {"no changelog, behind the task's positions",
       [](RestoreInput* in) {
         in->changelog_topic.clear(), in->begin = in->end = 0;
         in->marker->positions = {{"in", "i", 3, 6}}, in->positions = {{{"in", "i", 3, 7}}};
       },
       kWipe, 0, 0, "last commit"},
      {"no changelog, of another life of the input",
       [](RestoreInput* in) {
         in->changelog_topic.clear(), in->begin = in->end = 0;
         in->marker->positions = {{"in", "old", 3, 9}}, in->positions = {{{"in", "i", 3, 7}}};
       },
       kWipe, 0, 0, "last commit"},
      {"no changelog, ahead of the task's positions",
       [](RestoreInput* in) {
         in->changelog_topic.clear(), in->begin = in->end = 0;
         in->marker->positions = {{"in", "i", 3, 8}}, in->positions = {{{"in", "i", 3, 7}}};
       },
       kRefuse, 0, 0, "ahead"},
      {"no changelog, corrupt",
       [](RestoreInput* in) {
         in->changelog_topic.clear(), in->begin = in->end = 0, in->marker.reset(),
                                      in->corrupt = true;
       },
       kWipe, 0, 0, "corrupt"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    RestoreInput input = Input();
    row.change(&input);
    const RestorePlan plan = PlanRestore(input);
    CAPTURE(plan.reason);
    CHECK(RestoreModeName(plan.mode) == RestoreModeName(row.mode));
    CHECK(plan.from == row.from);
    CHECK(plan.to == row.to);
    CHECK(plan.reason.find(row.reason) != std::string_view::npos);
  }
}

}  // namespace
}  // namespace coho
