// Durations in the form of Kubernetes and Go: a sequence of decimal numbers, each with a unit.
#include <array>
#include <charconv>

#include "common/model/job.h"

namespace coho {
namespace {

struct Unit {
  std::string_view name;
  int64_t nanoseconds;
};
// Largest first, for FormatDuration.
constexpr std::array<Unit, 6> kUnits = {{{"h", 3'600'000'000'000},
                                         {"m", 60'000'000'000},
                                         {"s", 1'000'000'000},
                                         {"ms", 1'000'000},
                                         {"us", 1'000},
                                         {"ns", 1}}};

const Unit* FindUnit(std::string_view name) {
  if (name == "µs" || name == "μs") name = "us";  // both micro signs, as Go does
  for (const Unit& unit : kUnits) {
    if (unit.name == name) return &unit;
  }
  return nullptr;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::string_view TakeDigits(std::string_view* text) {
  size_t n = 0;
  while (n < text->size() && IsDigit((*text)[n])) ++n;
  const std::string_view digits = text->substr(0, n);
  text->remove_prefix(n);
  return digits;
}

}  // namespace

Result<Duration> ParseDuration(std::string_view text) {
  const auto refuse = [&] {
    return InvalidArgument("\"" + std::string(text.substr(0, 80)) +
                           "\" is not a duration such as 100ms, 5s or 1m30s");
  };
  if (text == "0") return Duration::zero();
  if (text.empty()) return refuse();
  int64_t total = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view whole = TakeDigits(&rest);
    std::string_view fraction;
    if (!rest.empty() && rest.front() == '.') {
      rest.remove_prefix(1);
      fraction = TakeDigits(&rest);
    }
    if (whole.empty() && fraction.empty()) return refuse();
    size_t length = 0;
    while (length < rest.size() && rest[length] != '.' && !IsDigit(rest[length])) ++length;
    const Unit* unit = FindUnit(rest.substr(0, length));
    if (unit == nullptr) return refuse();
    rest.remove_prefix(length);

    int64_t value = 0;
    if (!whole.empty()) {
      const auto [end, error] = std::from_chars(whole.data(), whole.data() + whole.size(), value);
      if (error != std::errc()) return refuse();
    }
    if (__builtin_mul_overflow(value, unit->nanoseconds, &value) ||
        __builtin_add_overflow(total, value, &total)) {
      return refuse();
    }
    int64_t scale = unit->nanoseconds;
    for (const char digit : fraction) {
      scale /= 10;
      if (__builtin_add_overflow(total, (digit - '0') * scale, &total)) return refuse();
    }
  }
  return Duration(total);
}

std::string FormatDuration(Duration d) {
  int64_t left = d.count();
  if (left == 0) return "0s";
  std::string text;
  for (const Unit& unit : kUnits) {
    const int64_t n = left / unit.nanoseconds;
    if (n == 0) continue;
    text.append(std::to_string(n)).append(unit.name);
    left -= n * unit.nanoseconds;
  }
  return text;
}

}  // namespace coho
