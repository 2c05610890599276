#include "worker/sdk/serde.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tests/support/seed.h"
#include "worker/sdk/store.h"

namespace coho {
namespace {

TEST_CASE("Serde: an int64 is 8 bytes big-endian, as Kafka's LongSerializer writes it") {
  const Int64Bytes bytes = EncodeInt64(0x0102030405060708);
  CHECK(std::string(bytes.data(), 8) == "\x01\x02\x03\x04\x05\x06\x07\x08");
  for (const int64_t value :
       {int64_t{0}, int64_t{1}, int64_t{-1}, std::numeric_limits<int64_t>::min(),
        std::numeric_limits<int64_t>::max()}) {
    CAPTURE(value);
    const Int64Bytes encoded = EncodeInt64(value);
    CHECK(DecodeInt64({encoded.data(), encoded.size()}) == value);
  }
}

TEST_CASE("Serde: an int64 is sent as the topic's serde says") {
  Int64Buffer buffer;
  const int64_t lowest = std::numeric_limits<int64_t>::min();
  CHECK(EncodeInt64As(SerdeType::kString, lowest, &buffer) == "-9223372036854775808");
  CHECK(EncodeInt64As(SerdeType::kJson, 482, &buffer) == "482");
  CHECK(EncodeInt64As(SerdeType::kInt64, 5, &buffer) == std::string("\0\0\0\0\0\0\0\5", 8));
  CHECK(EncodeInt64As(SerdeType::kBytes, 5, &buffer) == std::string("\0\0\0\0\0\0\0\5", 8));
}

TEST_CASE("CheckBytes: says what is wrong, and never repeats the bytes") {
  const std::string deep = std::string(70, '[') + std::string(70, ']');
  const std::string allowed_depth = std::string(60, '[') + std::string(60, ']');
  struct Row {
    const char* name;
    SerdeType type;
    std::string bytes;
    std::string error;  // part of the message; empty: fine
  };
  const std::vector<Row> rows = {
      {"any bytes", SerdeType::kBytes, "\xff\xfe", ""},
      {"empty string", SerdeType::kString, "", ""},
      {"text", SerdeType::kString, "Gr\xc3\xbc\xc3\x9f Gott", ""},
      {"latin 1", SerdeType::kString, "Gr\xfc\xdf", "UTF-8"},
      {"cut off", SerdeType::kString, "\xc3", "UTF-8"},
      {"surrogate", SerdeType::kString, "\xed\xa0\x80", "UTF-8"},
      {"int64", SerdeType::kInt64, "12345678", ""},
      {"int64 too short", SerdeType::kInt64, "1234", "found 4 bytes"},
      {"object", SerdeType::kJson, R"({"a": [1, 2.5, null, "x"]})", ""},
      {"number alone", SerdeType::kJson, "42", ""},
      {"string alone", SerdeType::kJson, "\"a\"", ""},
      {"nothing", SerdeType::kJson, "", "0 bytes"},
      {"cut off object", SerdeType::kJson, R"({"secret": )", "JSON"},
      {"two documents", SerdeType::kJson, "{} {}", "JSON"},
      {"trailing comma", SerdeType::kJson, "[1,]", "JSON"},
      {"not UTF-8 inside", SerdeType::kJson, "\"\xff\"", "UTF-8"},
      {"as deep as allowed", SerdeType::kJson, allowed_depth, ""},
      {"too deep", SerdeType::kJson, deep, "64 levels"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const Status status = CheckBytes(row.type, row.bytes);
    CAPTURE(status.ToString());
    CHECK(status.ok() == row.error.empty());
    if (row.error.empty()) continue;
    CHECK(status.code() == Code::kInvalidRecord);
    CHECK(status.message().find(row.error) != std::string::npos);
    CHECK(status.message().find("secret") == std::string::npos);
  }
}

TEST_CASE("CheckBytes: a large document between small ones") {
  std::string large = "[";
  while (large.size() < 3 << 20) large += "\"0123456789abcdef\",";
  large += "1]";
  CHECK(CheckBytes(SerdeType::kJson, "[1]").ok());
  CHECK(CheckBytes(SerdeType::kJson, large).ok());
  large.pop_back();
  CHECK_FALSE(CheckBytes(SerdeType::kJson, large).ok());
  CHECK(CheckBytes(SerdeType::kJson, "[2]").ok());
}

TEST_CASE("PrefixEnd: is above all that begin with the prefix, and below the rest") {
  CHECK(PrefixEnd("ab") == "ac");
  CHECK(PrefixEnd("a\xff") == "b");
  CHECK(PrefixEnd("\xff\xff").empty());
  CHECK(PrefixEnd("").empty());
  const auto seed = static_cast<unsigned>(test::Seed());
  CAPTURE(seed);
  std::mt19937 random(seed);
  const auto word = [&] {
    std::string w(random() % 5, '\0');
    for (char& c : w) c = "ab\xfe\xff"[random() % 4];
    return w;
  };
  for (int i = 0; i < 2000; ++i) {
    const std::string prefix = word();
    const std::string other = word();
    const std::string end = PrefixEnd(prefix);
    const bool in_range = other >= prefix && (end.empty() || other < end);
    CHECK(in_range == other.starts_with(prefix));
  }
}

}  // namespace
}  // namespace coho
