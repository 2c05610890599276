#include "worker/store/marker.h"

#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "worker/store/positions.h"
#include "worker/store/value_format.h"

namespace coho {
namespace {

TEST_CASE("Marker: comes back as it was written") {
  const StoreMarker markers[] = {
      {},
      {"web.visits", "coho-web-visits-visits-changelog", 7, 4711, 1763720000000},
      {"j", "t", 1, 2, 3, "topic id", "cluster id", {{"in", "in id", 1, 2}, {"in", "", 2, 0}}},
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
  const std::string bytes = EncodeMarker({"j", "t", 1, 2, 3, "i", "c", {{"in", "x", 4, 5}}});
  const auto number = [](char value) { return std::string(1, value) + std::string(7, '\0'); };
  const std::string positions =
      "\x01" + number(1) + number(2) + "in" + number(1) + "x" + number(4) + number(5);
  CHECK(bytes == "\x02" + number(1) + "j" + number(1) + "t" + number(1) + "i" + number(1) + "c" +
                     number(1) + number(2) + number(3) +
                     number(static_cast<char>(positions.size())) + positions);
}

TEST_CASE("Marker: anything else is corruption") {
  const std::string good =
      EncodeMarker({"web.visits", "topic", 1, 2, 3, "id", "cluster", {{"in", "x", 4, 5}}});
  for (size_t size = 0; size < good.size(); ++size) {
    CAPTURE(size);
    CHECK(DecodeMarker(good.substr(0, size)).status().code() == Code::kCorruption);
  }
  CHECK(DecodeMarker(good + "x").status().code() == Code::kCorruption);
  std::string long_string = good;
  long_string[8] = '\x7f';
  CHECK(DecodeMarker(long_string).status().code() == Code::kCorruption);
}

TEST_CASE("Marker: a first byte that no version will ever have is damage") {
  for (const char version : {'\0', '\x20', '\x7f', '\x82', '\xff'}) {
    std::string damaged = EncodeMarker({"web.visits", "topic", 1, 2, 3});
    damaged[0] = version;
    CHECK(DecodeMarker(damaged).status().code() == Code::kCorruption);
  }
}

TEST_CASE("Marker: one of another version is refused, and not taken for a broken one") {
  for (const char version : {'\x01', '\x03'}) {
    std::string other = EncodeMarker({"web.visits", "topic", 1, 2, 3});
    other[0] = version;
    const Status status = DecodeMarker(other).status();
    CHECK(status.code() == Code::kInvalidArgument);
    CHECK(status.message().find("of format " + std::to_string(version)) != std::string::npos);
  }
}

TEST_CASE("Positions: come back as they were written, anything else is refused") {
  const Positions positions = {{"a", "id", 0, 1}, {"a", "id", 1, 0}, {"b", "", 0, 1LL << 62}};
  const std::string good = EncodePositions(positions);
  const auto decoded = DecodePositions(good);
  REQUIRE(decoded.ok());
  CHECK(*decoded == positions);
  for (size_t size = 0; size < good.size(); ++size)
    CHECK(DecodePositions(good.substr(0, size)).status().code() == Code::kCorruption);
  CHECK(DecodePositions(EncodePositions({positions[1], positions[0]})).status().code() ==
        Code::kCorruption);
  CHECK(DecodePositions("\x02" + good.substr(1)).status().code() == Code::kInvalidArgument);
  CHECK(FindPosition(positions, "a", 1)->next == 0);
  CHECK(FindPosition(positions, "b", 1) == nullptr);
}

TEST_CASE("Value format: two bytes without a timestamp, and room for one") {
  std::string bytes;
  EncodeValue({.value = "v"}, &bytes);
  CHECK(bytes == std::string("\x01\x00v", 3));
  StoredValue stored;
  REQUIRE(DecodeValue(bytes, &stored).ok());
  CHECK(stored.value == "v");
  CHECK_FALSE(stored.timestamp_ms.has_value());
  EncodeValue({.value = "v", .timestamp_ms = 1763720000000}, &bytes);
  CHECK(bytes.size() == 11);
  REQUIRE(DecodeValue(bytes, &stored).ok());
  CHECK(stored.value == "v");
  CHECK(stored.timestamp_ms == 1763720000000);
  for (const std::string& bad : {std::string(), std::string("\x01"), std::string("\x02\x00v", 3),
                                 std::string("\x01\x02v", 3), bytes.substr(0, 9)}) {
    CHECK(DecodeValue(bad, &stored).code() == Code::kInvalidRecord);
  }
}

}  // namespace
}  // namespace coho
