// Virtual time. Every thread that shipped code starts inside a simulated process becomes a fiber
// here: pthread_create, mutexes, condition variables, clocks and std::random_device are answered by
// the scheduler (threads.cc) while a fiber runs, so the sources need not know. One fiber runs at a
// time, and only gives way where it waits; who comes next, and when, is drawn from the dice.
//
//   process: killed (its fibers never run again; no destructor does, as with SIGKILL), frozen and
//   thawed (what was due meanwhile is late), asleep (its monotonic clock stands still, too).
//
// Thread rule: one real thread. One Scheduler at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/clock.h"
#include "tests/support/sim/dice.h"

namespace coho::sim {

struct Fiber;

struct Process {
  std::string name;
  int host = 0;
  bool dead = false;
  bool ended = false;  // its main returned, or it was killed
  int exit_code = 0;
  Duration monotonic_behind{};  // a machine that slept: its monotonic clock did not
  Duration wall_off{};
  bool frozen = false;
  std::vector<Fiber*> fibers;
  std::vector<Fiber*> due;  // while frozen
};

class Scheduler {
 public:
  explicit Scheduler(uint64_t seed);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  [[nodiscard]] static Scheduler* Current();       // nullptr outside of a simulation
  [[nodiscard]] static Process* CurrentProcess();  // nullptr outside of a fiber

  [[nodiscard]] MonotonicTime now() const { return now_; }
  [[nodiscard]] WallTime wall() const;
  // So much time passes at once, for nobody: only where nothing runs.
  void SkipWallTime(Duration time) { skipped_ += time; }
  [[nodiscard]] Dice& dice() { return dice_; }

  // `main` runs in the process; the process ends when it returns.
  Process* Start(std::string name, int host, std::function<void()> main);
  Fiber* Spawn(Process* process, std::function<void()> body);
  void Kill(Process* process);
  void Freeze(Process* process);
  // `slept`: its monotonic clock stood still as well.
  void Thaw(Process* process, bool slept);
  // Calls back on nobody's stack; must not wait.
  void At(MonotonicTime when, std::function<void()> what);
  void After(Duration in, std::function<void()> what) { At(now_ + in, std::move(what)); }

  // For the fiber that runs.
  void Sleep(Duration time);
  // True when notified; false when the time was over.
  bool Wait(const void* what, std::optional<MonotonicTime> until);
  void Notify(const void* what, bool all);
  void Join(Fiber* fiber);
  [[noreturn]] void EndProcess(int exit_code);

  // Runs what is due up to then, or until Stop.
  void RunUntil(MonotonicTime end);
  void Stop() { stopped_ = true; }
  [[nodiscard]] bool stopped() const { return stopped_; }
  [[nodiscard]] uint64_t switches() const { return switches_; }
  [[nodiscard]] const std::vector<std::unique_ptr<Process>>& processes() const {
    return processes_;
  }

 private:
  struct Due {
    MonotonicTime at;
    uint64_t order = 0;
    Fiber* fiber = nullptr;
    uint64_t token = 0;
    std::function<void()> call;
  };
  struct Later {
    bool operator()(const Due& a, const Due& b) const {
      return a.at != b.at ? a.at > b.at : a.order > b.order;
    }
  };
  struct Waiter {
    Fiber* fiber = nullptr;
    uint64_t token = 0;
  };

  void Push(MonotonicTime at, Fiber* fiber);
  void SwitchOut();
  void Resume(Fiber* fiber);
  void Retire(Fiber* fiber);
  static void Entry();

  Dice dice_;
  MonotonicTime now_{};
  Duration skipped_{};
  uint64_t order_ = 0;
  uint64_t switches_ = 0;
  bool stopped_ = false;
  std::priority_queue<Due, std::vector<Due>, Later> due_;
  std::unordered_map<const void*, std::vector<Waiter>> waiters_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<std::unique_ptr<Process>> processes_;
};

}  // namespace coho::sim
