#include <doctest/doctest.h>

#include "operator/kube/event_series.h"
#include "operator/kube/time.h"

namespace coho::kube {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

MonotonicTime At(Duration since_start) { return MonotonicTime(since_start); }
WallTime Wall(Duration since_epoch) { return WallTime(since_epoch); }

EventKind Kind(const std::string& reason) {
  return {.ns = "web", .object = "uid", .reason = reason, .action = "Reconcile"};
}

TEST_CASE(
    "Events: the same again is counted on the first, written at once and then every half minute") {
  EventSeries series;
  CHECK(series.Record(Kind("R"), "note", "e1", At(seconds(0)), Wall(seconds(0))) ==
        EventVerdict::kCreate);
  CHECK(series.DueUpdates(At(seconds(0))).empty());
  CHECK(series.Record(Kind("R"), "note", "e2", At(seconds(1)), Wall(seconds(1))) ==
        EventVerdict::kCounted);
  auto due = series.DueUpdates(At(seconds(1)));
  REQUIRE(due.size() == 1);
  CHECK(due[0].event_name == "e1");
  CHECK(due[0].ns == "web");
  CHECK(due[0].count == 2);
  CHECK(due[0].last_observed == Wall(seconds(1)));
  for (int i = 2; i < 12; ++i) {
    CHECK(series.Record(Kind("R"), "note", "e3", At(seconds(i)), Wall(seconds(i))) ==
          EventVerdict::kCounted);
    CHECK(series.DueUpdates(At(seconds(i))).empty());
  }
  CHECK(series.has_pending());
  due = series.DueUpdates(At(seconds(31)));
  REQUIRE(due.size() == 1);
  CHECK(due[0].count == 12);
  CHECK(!series.has_pending());
}

TEST_CASE("Events: six minutes later the same is a new event") {
  EventSeries series;
  CHECK(series.Record(Kind("R"), "note", "e1", At(minutes(0)), Wall(minutes(0))) ==
        EventVerdict::kCreate);
  CHECK(series.Record(Kind("R"), "note", "e2", At(minutes(6)), Wall(minutes(6))) ==
        EventVerdict::kCreate);
}

TEST_CASE("Events: different reasons, notes and objects are different events") {
  EventSeries series;
  EventKind other_object = Kind("R");
  other_object.object = "other";
  EventKind warning = Kind("R");
  warning.warning = true;
  CHECK(series.Record(Kind("R"), "a", "e1", At(seconds(0)), Wall({})) == EventVerdict::kCreate);
  CHECK(series.Record(Kind("R"), "b", "e2", At(seconds(0)), Wall({})) == EventVerdict::kCreate);
  CHECK(series.Record(Kind("S"), "a", "e3", At(seconds(0)), Wall({})) == EventVerdict::kCreate);
  CHECK(series.Record(other_object, "a", "e4", At(seconds(0)), Wall({})) == EventVerdict::kCreate);
  CHECK(series.Record(warning, "a", "e5", At(seconds(0)), Wall({})) == EventVerdict::kCreate);
}

TEST_CASE("Events: after ten that differ only in their note the rest are counted") {
  EventSeries series;
  int created = 0;
  for (int i = 0; i < 40; ++i) {
    const auto verdict = series.Record(Kind("R"), "task " + std::to_string(i),
                                       "e" + std::to_string(i), At(seconds(1)), Wall({}));
    created += verdict == EventVerdict::kCreate ? 1 : 0;
    CHECK(verdict != EventVerdict::kDropped);
  }
  CHECK(created == 10);
  const auto due = series.DueUpdates(At(seconds(2)));
  REQUIRE(due.size() == 1);
  CHECK(due[0].event_name == "e9");
  CHECK(due[0].count == 31);
}

TEST_CASE("Events: one object gets 100 at once, then one every half minute") {
  EventSeries series;
  int created = 0;
  for (int i = 0; i < 300; ++i) {
    const auto verdict =
        series.Record(Kind("R" + std::to_string(i)), "n", "e", At(seconds(1)), Wall({}));
    created += verdict == EventVerdict::kCreate ? 1 : 0;
  }
  CHECK(created == 100);
  CHECK(series.Record(Kind("later"), "n", "e", At(seconds(32)), Wall({})) == EventVerdict::kCreate);
  CHECK(series.Record(Kind("later2"), "n", "e", At(seconds(32)), Wall({})) ==
        EventVerdict::kDropped);
}

TEST_CASE("Times: as Kubernetes writes and reads them") {
  const WallTime time = FromUnixMillis(1763720900123) + std::chrono::microseconds(456);
  CHECK(FormatTime(time) == "2025-11-21T10:28:20Z");
  CHECK(FormatMicroTime(time) == "2025-11-21T10:28:20.123456Z");
  CHECK(ParseTime(FormatMicroTime(time)) == time);
  CHECK(ParseTime("2025-11-21T10:28:20Z") == FromUnixMillis(1763720900000));
  for (const char* bad : {"", "Z", "2025-11-21", "2025-11-21T10:28:20", "2025-11-21T10:28:20+01:00",
                          "2025-11-21T10:28:20.1", "2025-11-21T10:28:20.xZ", "yesterdayZ"}) {
    CAPTURE(bad);
    CHECK(!ParseTime(bad));
  }
}

}  // namespace
}  // namespace coho::kube
