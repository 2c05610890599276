// Logging of shipped code inside the simulation: part of the trace.
#include "common/base/log.h"

#include <map>

#include "tests/support/sim/cloud.h"

namespace coho {

void InitLogging(LogFormat, LogLevel) {}
Result<LogLevel> ParseLogLevel(std::string_view) { return LogLevel::kInfo; }
bool LogEnabled(LogLevel level) { return level != LogLevel::kDebug; }

void Log(LogLevel level, std::string_view sentence, LogFields fields) {
  sim::Cloud* cloud = sim::Cloud::current;
  if (cloud == nullptr) return;
  std::string line = level == LogLevel::kError ? "ERROR " : level == LogLevel::kWarn ? "WARN " : "";
  line += sentence;
  for (const LogField& field : fields) line += " " + std::string(field.key) + "=" + field.value;
  cloud->Trace(line);
  const sim::Process* process = sim::Scheduler::CurrentProcess();
  if (cloud->on_log) cloud->on_log(process == nullptr ? "" : process->name, line);
}

}  // namespace coho
