#include "operator/kube/time.h"

#include <cstdio>
#include <ctime>

namespace coho::kube {
namespace {

std::string Seconds(WallTime time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(
      std::chrono::time_point_cast<std::chrono::system_clock::duration>(
          std::chrono::floor<std::chrono::seconds>(time)));
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts)};
}

}  // namespace

std::string FormatTime(WallTime time) { return Seconds(time) + "Z"; }

std::string FormatMicroTime(WallTime time) {
  const auto micros = std::chrono::floor<std::chrono::microseconds>(
      time - std::chrono::floor<std::chrono::seconds>(time));
  char text[16];
  std::snprintf(text, sizeof text, ".%06dZ", static_cast<int>(micros.count()));
  return Seconds(time) + text;
}

std::optional<WallTime> ParseTime(std::string_view text) {
  if (!text.ends_with('Z')) return std::nullopt;
  const std::string copy(text);
  std::tm parts{};
  const char* rest = strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) return std::nullopt;
  WallTime time = std::chrono::system_clock::from_time_t(timegm(&parts));
  if (*rest == '.') {
    int64_t unit = 100'000'000;
    for (++rest; *rest >= '0' && *rest <= '9'; ++rest, unit /= 10)
      time += Duration((*rest - '0') * unit);
  }
  if (*rest != 'Z' || rest[1] != '\0') return std::nullopt;
  return time;
}

}  // namespace coho::kube
