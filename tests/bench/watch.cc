// Watches a topic fill from outside of the program that fills it, the same way whatever that
// program is: prints when its first record was written, when its last transaction was committed,
// and the CPU time that a process took in between. Ends when as many records are committed as were
// asked for, and nothing more came for a while.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

#include "tests/bench/plain_kafka.h"

namespace coho::bench {
namespace {

using std::chrono::steady_clock;

// utime + stime of /proc/PID/stat; negative when the process is gone.
double CpuSeconds(int pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::stringstream text;
  text << in.rdbuf();
  const std::string stat = text.str();
  const size_t bracket = stat.rfind(')');
  if (bracket == std::string::npos) return -1;
  std::istringstream fields(stat.substr(bracket + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

struct Moment {
  steady_clock::time_point at;
  double cpu = 0;
};

// Sums over the partitions.
int64_t End(rd_kafka_t* client, const std::string& topic, int partitions) {
  int64_t sum = 0;
  for (int p = 0; p < partitions; ++p) {
    int64_t low = 0;
    int64_t high = 0;
    if (rd_kafka_query_watermark_offsets(client, topic.c_str(), p, &low, &high, 10'000) ==
        RD_KAFKA_RESP_ERR_NO_ERROR)
      sum += high;
  }
  return sum;
}

}  // namespace
}  // namespace coho::bench

int main(int argc, char** argv) {
  using namespace coho::bench;
  using std::chrono::milliseconds;
  std::string brokers, topic;
  int64_t records = 0;
  int pid = 0;
  int quiet_ms = 2500;
  int timeout_s = 1800;
  CLI::App app("Tells when a topic's first record was written and its last was committed");
  app.add_option("--brokers", brokers)->required();
  app.add_option("--topic", topic)->required();
  app.add_option("--records", records)->required();
  app.add_option("--pid", pid)->required();
  app.add_option("--quiet-ms", quiet_ms);
  app.add_option("--timeout-s", timeout_s);
  CLI11_PARSE(app, argc, argv);

  // Without transactions in sight the first record is seen at once, not only when it is committed.
  const Client dirty = MakeReader(brokers, {{"isolation.level", "read_uncommitted"}});
  const Client committed = MakeReader(brokers);
  const auto deadline = steady_clock::now() + std::chrono::seconds(timeout_s);
  const auto pause = [&] {
    if (steady_clock::now() > deadline) Die("waited in vain for " + topic);
    if (CpuSeconds(pid) < 0) Die("the process has ended");
    std::this_thread::sleep_for(milliseconds(5));
  };
  int partitions = 0;
  while ((partitions = PartitionsOf(dirty.get(), topic)) == 0) pause();
  while (End(dirty.get(), topic, partitions) == 0) pause();
  const Moment first{steady_clock::now(), CpuSeconds(pid)};
  Moment last = first;
  int64_t end = 0;
  for (;;) {
    const int64_t now = End(committed.get(), topic, partitions);
    if (now != end) {
      end = now;
      last = {steady_clock::now(), CpuSeconds(pid)};
    } else if (end >= records && steady_clock::now() - last.at > milliseconds(quiet_ms)) {
      break;
    }
    if (end < records) {
      pause();
    } else {
      // The process may end when it is done.
      if (steady_clock::now() > deadline) Die("waited in vain for " + topic);
      std::this_thread::sleep_for(milliseconds(5));
    }
  }
  std::printf("{\"seconds\": %.3f, \"cpu_seconds\": %.2f}\n",
              std::chrono::duration<double>(last.at - first.at).count(), last.cpu - first.cpu);
  return 0;
}
