#include "tests/simulation/shipped/crowd.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <thread>

#include "common/base/check.h"
#include "common/base/mutant.h"

namespace coho::simulation {
namespace {

constexpr uint64_t kSeedsPerProcess = 50;
// Of the processor's time: a world that takes longer turns round and round.
constexpr time_t kSecondsPerSeed = 5;

void LimitTime() {
  const itimerval limit = {.it_interval = {},
                           .it_value = {.tv_sec = kSecondsPerSeed, .tv_usec = 0}};
  ::setitimer(ITIMER_PROF, &limit, nullptr);
}

struct Child {
  pid_t pid = -1;
  int pipe = -1;
  std::string output;
  std::atomic<uint64_t>* seed = nullptr;  // under way
};

// Runs `body` in a process whose writes to the pipe the caller reads.
template <class Body>
Child Fork(const Body& body) {
  static auto* slots = static_cast<std::atomic<uint64_t>*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  static size_t next_slot = 0;
  Child child;
  child.seed = &slots[next_slot++ % (4096 / sizeof(std::atomic<uint64_t>))];
  int ends[2];
  COHO_CHECK(::pipe(ends) == 0, "no pipe");
  std::cout.flush();
  child.pid = ::fork();
  COHO_CHECK(child.pid >= 0, "no process");
  if (child.pid == 0) {
    ::close(ends[0]);
    for (const int number : {SIGABRT, SIGSEGV, SIGTERM}) ::signal(number, SIG_DFL);
    const std::string out = body(child.seed);
    for (size_t at = 0; at < out.size();) {
      const ssize_t n = ::write(ends[1], out.data() + at, out.size() - at);
      if (n <= 0) break;
      at += static_cast<size_t>(n);
    }
    std::fflush(stdout);
    ::_exit(0);
  }
  ::close(ends[1]);
  child.pipe = ends[0];
  return child;
}

// False at the end of its output.
bool ReadSome(Child* child) {
  char buffer[4096];
  const ssize_t n = ::read(child->pipe, buffer, sizeof buffer);
  if (n <= 0) return false;
  child->output.append(buffer, static_cast<size_t>(n));
  return true;
}

// How it ended, when that was not as it should.
std::string Reap(Child* child) {
  ::close(child->pipe);
  int status = 0;
  ::waitpid(child->pid, &status, 0);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF) return "the world turns without end";
  if (WIFSIGNALED(status)) return "the process died of signal " + std::to_string(WTERMSIG(status));
  return "";
}

std::string OneLine(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

size_t Processors() {
  const char* jobs = std::getenv("COHO_JOBS");
  if (jobs != nullptr) return std::max(1, std::atoi(jobs));
  return std::max(1U, std::thread::hardware_concurrency());
}

}  // namespace

OneResult RunOne(const WorldOptions& options, const std::string& mutant) {
  Child child = Fork([&](std::atomic<uint64_t>*) {
    mutants::SwitchOn(mutant);
    LimitTime();
    World world(options);
    const std::string violation = world.Run();
    return std::to_string(world.hash()) + " " + violation;
  });
  while (ReadSome(&child)) {
  }
  OneResult result;
  result.violation = Reap(&child);
  const size_t space = child.output.find(' ');
  if (space != std::string::npos) {
    result.hash = std::strtoull(child.output.c_str(), nullptr, 10);
    if (result.violation.empty()) result.violation = child.output.substr(space + 1);
  }
  return result;
}

WorldOptions Shrink(WorldOptions options, const std::string& mutant) {
  const size_t count = World(options).faults().size();
  for (size_t step = std::max<size_t>(count / 2, 1);; step /= 2) {
    for (size_t at = 0; at < count; at += step) {
      WorldOptions fewer = options;
      for (size_t i = at; i < std::min(count, at + step); ++i) fewer.without.insert(i);
      if (fewer.without.size() == options.without.size()) continue;
      if (!RunOne(fewer, mutant).violation.empty()) options.without = fewer.without;
    }
    if (step == 1) return options;
  }
}

CrowdResult RunCrowd(const CrowdOptions& options) {
  CrowdResult result;
  std::vector<Child> children;
  uint64_t next = options.first;
  const uint64_t end = options.first + options.seeds;
  bool stop = false;
  while (!children.empty() || (next < end && !stop)) {
    while (children.size() < Processors() && next < end && !stop) {
      const uint64_t first = next;
      next = std::min(end, next + kSeedsPerProcess);
      const uint64_t last = next;
      children.push_back(Fork([&options, first, last](std::atomic<uint64_t>* under_way) {
        mutants::SwitchOn(options.mutant);
        std::ostringstream out;
        uint64_t seeds = 0;
        for (uint64_t seed = first; seed < last; ++seed) {
          *under_way = seed;
          LimitTime();
          ++seeds;
          const std::string violation =
              World({.seed = seed, .only = options.only, .without = {}}).Run();
          if (violation.empty()) continue;
          // A mutant is found where it makes the difference.
          if (!options.mutant.empty()) {
            mutants::SwitchOn("");
            const bool without =
                World({.seed = seed, .only = options.only, .without = {}}).Run().empty();
            mutants::SwitchOn(options.mutant);
            if (!without) continue;
          }
          out << "V " << seed << " " << OneLine(violation) << "\n";
          if (!options.all) break;
        }
        out << "N " << seeds << "\n";
        for (const auto& sighting : mutants::Sightings())
          out << "S " << sighting.times << " " << sighting.name << "\n";
        return out.str();
      }));
    }
    std::vector<pollfd> fds;
    for (const Child& child : children)
      fds.push_back({.fd = child.pipe, .events = POLLIN, .revents = 0});
    ::poll(fds.data(), fds.size(), -1);
    for (size_t i = children.size(); i-- > 0;) {
      if (fds[i].revents == 0 || ReadSome(&children[i])) continue;
      if (const std::string died = Reap(&children[i]); !died.empty()) {
        result.findings.push_back({*children[i].seed, died});
      }
      std::istringstream lines(children[i].output);
      std::string line;
      while (std::getline(lines, line)) {
        std::istringstream words(line);
        char kind = 0;
        uint64_t number = 0;
        std::string rest;
        words >> kind >> number;
        std::getline(words >> std::ws, rest);
        if (kind == 'V') result.findings.push_back({number, rest});
        if (kind == 'N') result.seeds += number;
        if (kind == 'S') result.sightings[rest] += number;
      }
      children.erase(children.begin() + static_cast<std::ptrdiff_t>(i));
    }
    stop = !options.all && !result.findings.empty();
  }
  std::sort(result.findings.begin(), result.findings.end(),
            [](const Finding& a, const Finding& b) { return a.seed < b.seed; });
  return result;
}

}  // namespace coho::simulation
