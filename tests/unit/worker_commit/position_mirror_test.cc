#include "worker/commit/position_mirror.h"

#include <doctest/doctest.h>

namespace coho {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

MonotonicTime At(Duration d) { return MonotonicTime(d); }

TEST_CASE("PositionMirror: shows what moved every few seconds") {
  PositionMirror mirror;
  CHECK(mirror.Due(At(seconds(100))));
  CHECK(mirror.ToShow({{{"t", 0}, 5}, {{"t", 1}, 7}}, At(seconds(100))).size() == 2);
  CHECK_FALSE(mirror.Due(At(seconds(104))));
  CHECK(mirror.Due(At(seconds(105))));
  CHECK(mirror.ToShow({{{"t", 0}, 6}, {{"t", 1}, 7}}, At(seconds(105))) ==
        PositionMap{{{"t", 0}, 6}});
  CHECK(mirror.ToShow({{{"t", 0}, 6}, {{"t", 1}, 7}}, At(seconds(110))).empty());
}

TEST_CASE(
    "PositionMirror: shows quiet partitions again within the hour, so that Kafka never forgets "
    "them") {
  PositionMirror mirror;
  const PositionMap quiet = {{{"t", 0}, 5}, {{"t", 1}, 7}};
  MonotonicTime shown = At(seconds(0));
  CHECK(mirror.ToShow(quiet, shown) == quiet);
  for (Duration d = seconds(5); d < hours(24 * 8); d += minutes(7)) {
    const PositionMap show = mirror.ToShow(quiet, At(d));
    if (show.empty()) {
      REQUIRE(At(d) - shown < hours(1) + minutes(7));
    } else {
      CHECK(show == quiet);
      shown = At(d);
    }
  }
}

TEST_CASE("PositionMirror: a partition that came back is shown") {
  PositionMirror mirror;
  CHECK(mirror.ToShow({{{"t", 0}, 5}}, At(seconds(0))).size() == 1);
  mirror.Forget({"t", 0});
  CHECK(mirror.ToShow({{{"t", 0}, 5}}, At(seconds(6))).size() == 1);
}

}  // namespace
}  // namespace coho
