// Logging: a constant sentence and key=value fields. JSON lines in pods, text on a terminal. INFO
// is what whoever runs the system wants to see at each occurrence; WARN: unsure; ERROR: certain and
// actionable. Never a line per record; never a secret.
//
//   LogInfo("store restored", {{"task", task}, {"records", n}, {"of", total}});
//
// Safe to use from any thread. spdlog sits behind; only log.cc includes it.
#pragma once

#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/base/status.h"

namespace coho {

enum class LogLevel { kDebug, kInfo, kWarn, kError };
enum class LogFormat { kAuto, kText, kJson };  // kAuto: text when stderr is a terminal, else JSON

struct LogField {
  std::string_view key;
  std::string value;
  bool quoted = true;  // JSON string; false for numbers and booleans

  LogField(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(v) {}
  LogField(std::string_view k, bool v) : key(k), value(v ? "true" : "false"), quoted(false) {}
  LogField(std::string_view k, std::integral auto v)
      : key(k), value(std::to_string(v)), quoted(false) {}
  LogField(std::string_view k, std::floating_point auto v)
      : key(k), value(std::to_string(v)), quoted(false) {}
  template <class Tag, class Rep>
  LogField(std::string_view k, Strong<Tag, Rep> v)
      : key(k), value(std::to_string(v.value())), quoted(false) {}
  LogField(std::string_view k, const Status& s) : key(k), value(s.ToString()) {}
};

using LogFields = std::initializer_list<LogField>;

// Call once in main, before other threads. Lines go to stderr.
void InitLogging(LogFormat format, LogLevel level);
// "debug", "info", "warn", "error"; anything else is InvalidArgument.
[[nodiscard]] Result<LogLevel> ParseLogLevel(std::string_view name);
[[nodiscard]] bool LogEnabled(LogLevel level);

void Log(LogLevel level, std::string_view sentence, LogFields fields);
inline void LogDebug(std::string_view sentence, LogFields fields = {}) {
  if (LogEnabled(LogLevel::kDebug)) Log(LogLevel::kDebug, sentence, fields);
}
inline void LogInfo(std::string_view sentence, LogFields fields = {}) {
  Log(LogLevel::kInfo, sentence, fields);
}
inline void LogWarn(std::string_view sentence, LogFields fields = {}) {
  Log(LogLevel::kWarn, sentence, fields);
}
inline void LogError(std::string_view sentence, LogFields fields = {}) {
  Log(LogLevel::kError, sentence, fields);
}

}  // namespace coho
