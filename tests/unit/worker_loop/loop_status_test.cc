#include "worker/loop/loop_status.h"

#include <doctest/doctest.h>

#include <numeric>

namespace coho {
namespace {

TEST_CASE("CommitTimes: each commit is in one bucket, bounds included") {
  CommitTimes times;
  times.Add(0.0005);
  times.Add(0.001);
  times.Add(0.0011);
  times.Add(60);
  CHECK(times.counts[0] == 2);
  CHECK(times.counts[1] == 1);
  CHECK(times.counts.back() == 1);
  CHECK(std::accumulate(times.counts.begin(), times.counts.end(), uint64_t{0}) == 4);
  CHECK(times.sum == doctest::Approx(60.0026));
}

}  // namespace
}  // namespace coho
