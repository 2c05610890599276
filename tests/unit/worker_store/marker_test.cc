#include "worker/store/marker.h"

#include <doctest/doctest.h>

#include <limits>
#include <string>

namespace coho {
namespace {

TEST_CASE("Marker: comes back as it was written") {
  const StoreMarker markers[] = {
      {},
      {"web.visits", "coho-web-visits-visits-changelog", 7, 4711, 1763720000000},
      {std::string("a\0b", 3), "", std::numeric_limits<int32_t>::max(),
       std::numeric_limits<int64_t>::max(), -1},
  };
  for (const StoreMarker& marker : markers) {
    const auto decoded = DecodeMarker(EncodeMarker(marker));
    REQUIRE(decoded.ok());
    CHECK(*decoded == marker);
  }
}

TEST_CASE("Marker: bytes on disk stay what they are") {
  const std::string bytes = EncodeMarker({"j", "t", 1, 2, 3});
  const auto number = [](char value) { return std::string(1, value) + std::string(7, '\0'); };
  CHECK(bytes == "\x01" + number(1) + "j" + number(1) + "t" + number(1) + number(2) + number(3));
}

TEST_CASE("Marker: anything else is corruption") {
  const std::string good = EncodeMarker({"web.visits", "topic", 1, 2, 3});
  for (size_t size = 0; size < good.size(); ++size) {
    CAPTURE(size);
    CHECK(DecodeMarker(good.substr(0, size)).status().code() == Code::kCorruption);
  }
  CHECK(DecodeMarker(good + "x").status().code() == Code::kCorruption);
  std::string later_version = good;
  later_version[0] = 2;
  CHECK(DecodeMarker(later_version).status().code() == Code::kCorruption);
  std::string long_string = good;
  long_string[8] = '\x7f';
  CHECK(DecodeMarker(long_string).status().code() == Code::kCorruption);
}

}  // namespace
}  // namespace coho
