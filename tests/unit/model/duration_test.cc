#include <doctest/doctest.h>

#include "common/model/job.h"
#include "tests/unit/model/random_values.h"

namespace coho {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

TEST_CASE("Duration: reads what Kubernetes and Go read") {
  const std::pair<const char*, Duration> rows[] = {
      {"100ms", milliseconds(100)},
      {"5s", seconds(5)},
      {"1m30s", seconds(90)},
      {"2h", hours(2)},
      {"0", Duration::zero()},
      {"0s", Duration::zero()},
      {"1.5s", milliseconds(1500)},
      {".5m", seconds(30)},
      {"1.s", seconds(1)},
      {"250us", microseconds(250)},
      {"250µs", microseconds(250)},
      {"7ns", Duration(7)},
      {"1h1m1s", hours(1) + minutes(1) + seconds(1)},
  };
  for (const auto& [text, expected] : rows) {
    CAPTURE(text);
    const auto parsed = ParseDuration(text);
    REQUIRE(parsed.ok());
    CHECK(*parsed == expected);
  }
}

TEST_CASE("Duration: refuses everything else, naming what was found") {
  for (const char* text :
       {"", "100", "-5s", "5", "s", "5 s", " 5s", "5s ", "5sec", ".s", "1d", "1..5s", "5S", "1e3s",
        "9999999999999999999s", "9223372036854775807h", "2562047h48m", "5s5"}) {
    CAPTURE(text);
    const auto parsed = ParseDuration(text);
    REQUIRE_FALSE(parsed.ok());
    CHECK(parsed.status().code() == Code::kInvalidArgument);
    CHECK(parsed.status().message() ==
          "\"" + std::string(text) + "\" is not a duration such as 100ms, 5s or 1m30s");
  }
}

TEST_CASE("Duration: is written in one way, which is read back") {
  CHECK(FormatDuration(Duration::zero()) == "0s");
  CHECK(FormatDuration(milliseconds(100)) == "100ms");
  CHECK(FormatDuration(seconds(90)) == "1m30s");
  CHECK(FormatDuration(microseconds(1500)) == "1ms500us");
  CHECK(FormatDuration(hours(48)) == "48h");

  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  test::Random random(seed);
  for (int i = 0; i < 2000; ++i) {
    const Duration d(random.Int(0, int64_t{1} << random.Int(0, 62)));
    CAPTURE(d.count());
    REQUIRE(*ParseDuration(FormatDuration(d)) == d);
  }
}

}  // namespace
}  // namespace coho
