#include "common/http/process_metrics.h"

#include <dirent.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

namespace coho::http {
namespace {

// The numbered fields of /proc/self/stat that we show; see proc(5).
struct ProcStat {
  double cpu_ticks = 0;  // utime + stime
  double threads = 0;
  double start_ticks = 0;  // since boot
  double virtual_bytes = 0;
  double resident_pages = 0;
};

std::optional<ProcStat> ReadStat() {
  std::ifstream file("/proc/self/stat");
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  // Field 2 is the program's name in parentheses and may hold spaces; counting starts behind it,
  // with field 3.
  const size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(line.substr(name_end + 1));
  ProcStat stat;
  std::string skipped;
  for (int field = 3; field <= 24; ++field) {
    double value = 0;
    if (field == 3) {
      fields >> skipped;
      continue;
    }
    if (!(fields >> value)) return std::nullopt;
    if (field == 14 || field == 15) stat.cpu_ticks += value;
    if (field == 20) stat.threads = value;
    if (field == 22) stat.start_ticks = value;
    if (field == 23) stat.virtual_bytes = value;
    if (field == 24) stat.resident_pages = value;
  }
  return stat;
}

std::optional<double> BootTimeSeconds() {
  std::ifstream file("/proc/stat");
  std::string line;
  while (std::getline(file, line)) {
    constexpr std::string_view kPrefix = "btime ";
    if (line.starts_with(kPrefix)) return std::stod(line.substr(kPrefix.size()));
  }
  return std::nullopt;
}

std::optional<double> CountOpenFiles() {
  DIR* dir = opendir("/proc/self/fd");
  if (dir == nullptr) return std::nullopt;
  double count = -1;  // the descriptor that lists them
  while (const dirent* entry = readdir(dir)) {
    if (entry->d_name[0] != '.') ++count;
  }
  closedir(dir);
  return count;
}

class Families {
 public:
  void Counter(const char* name, const char* help, double value) {
    Add(name, help, prometheus::MetricType::Counter).counter.value = value;
  }
  void Gauge(const char* name, const char* help, double value) {
    Add(name, help, prometheus::MetricType::Gauge).gauge.value = value;
  }
  std::vector<prometheus::MetricFamily> Take() { return std::move(families_); }

 private:
  prometheus::ClientMetric& Add(const char* name, const char* help, prometheus::MetricType type) {
    prometheus::MetricFamily& family = families_.emplace_back();
    family.name = name;
    family.help = help;
    family.type = type;
    return family.metric.emplace_back();
  }
  std::vector<prometheus::MetricFamily> families_;
};

}  // namespace

std::vector<prometheus::MetricFamily> ProcessMetrics::Collect() const {
  Families out;
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  if (const auto stat = ReadStat()) {
    out.Counter("process_cpu_seconds_total", "CPU time spent in user and system mode, in seconds.",
                stat->cpu_ticks / ticks);
    out.Gauge("process_resident_memory_bytes", "Resident memory, in bytes.",
              stat->resident_pages * static_cast<double>(sysconf(_SC_PAGESIZE)));
    out.Gauge("process_virtual_memory_bytes", "Virtual memory, in bytes.", stat->virtual_bytes);
    out.Gauge("process_threads", "Threads of the process.", stat->threads);
    if (const auto boot = BootTimeSeconds()) {
      out.Gauge("process_start_time_seconds",
                "Start of the process, in seconds since the Unix epoch.",
                *boot + stat->start_ticks / ticks);
    }
  }
  if (const auto files = CountOpenFiles()) {
    out.Gauge("process_open_fds", "Open file descriptors.", *files);
  }
  if (rlimit limit{}; getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    out.Gauge("process_max_fds", "Limit of open file descriptors.",
              static_cast<double>(limit.rlim_cur));
  }
  return out.Take();
}

}  // namespace coho::http
