#include "common/base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <memory>

namespace coho {
namespace {

bool g_json = false;

void AppendJsonString(std::string_view text, std::string* out) {
  constexpr char kHex[] = "0123456789abcdef";
  out->push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(c);
    } else if (c == '\n') {
      *out += "\\n";
    } else if (byte < 0x20) {
      *out += "\\u00";
      out->push_back(kHex[byte >> 4]);
      out->push_back(kHex[byte & 15]);
    } else {
      out->push_back(c);
    }
  }
  out->push_back('"');
}

bool NeedsQuotes(std::string_view text) {
  return text.empty() || text.find_first_of(" \"=\n") != std::string_view::npos;
}

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

void InitLogging(LogFormat format, LogLevel level) {
  g_json = format == LogFormat::kJson || (format == LogFormat::kAuto && isatty(STDERR_FILENO) == 0);
  auto logger =
      std::make_shared<spdlog::logger>("coho", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_level(ToSpdlog(level));
  logger->flush_on(spdlog::level::debug);
  // The message of a JSON line is the inside of its object, so that the time and level join it
  // without being parsed again.
  if (g_json) {
    logger->set_formatter(std::make_unique<spdlog::pattern_formatter>(
        R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})", spdlog::pattern_time_type::utc));
  } else {
    logger->set_pattern("%H:%M:%S.%e %^%-5l%$ %v");
  }
  spdlog::set_default_logger(std::move(logger));
}

Result<LogLevel> ParseLogLevel(std::string_view name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "info") return LogLevel::kInfo;
  if (name == "warn") return LogLevel::kWarn;
  if (name == "error") return LogLevel::kError;
  return InvalidArgument("log level: found \"" + std::string(name) +
                         "\", allowed are debug, info, warn, error");
}

bool LogEnabled(LogLevel level) { return spdlog::should_log(ToSpdlog(level)); }

void Log(LogLevel level, std::string_view sentence, LogFields fields) {
  if (!LogEnabled(level)) return;
  std::string line;
  line.reserve(128);
  if (g_json) {
    line += "\"message\":";
    AppendJsonString(sentence, &line);
    for (const LogField& field : fields) {
      line.push_back(',');
      AppendJsonString(field.key, &line);
      line.push_back(':');
      if (field.quoted) {
        AppendJsonString(field.value, &line);
      } else {
        line += field.value;
      }
    }
  } else {
    line += sentence;
    for (const LogField& field : fields) {
      line.push_back(' ');
      line += field.key;
      line.push_back('=');
      if (field.quoted && NeedsQuotes(field.value)) {
        AppendJsonString(field.value, &line);
      } else {
        line += field.value;
      }
    }
  }
  spdlog::default_logger_raw()->log(ToSpdlog(level), "{}", line);
}

}  // namespace coho
