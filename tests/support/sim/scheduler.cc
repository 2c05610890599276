#include "tests/support/sim/scheduler.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "common/base/check.h"

// What the C++ runtime keeps of exceptions under way, for each thread: fibers take theirs along.
namespace __cxxabiv1 {
struct __cxa_eh_globals;
extern "C" __cxa_eh_globals* __cxa_get_globals() noexcept;
}  // namespace __cxxabiv1

namespace coho::sim {

struct Fiber {
  Process* process = nullptr;
  std::function<void()> body;
  ucontext_t context;
  void* stack = nullptr;
  uint64_t token = 0;
  bool started = false;
  bool done = false;
  bool notified = false;
  void* exceptions[2] = {nullptr, nullptr};
};

namespace {

constexpr size_t kStackBytes = 256 << 10;

Scheduler* g_scheduler = nullptr;
Fiber* g_fiber = nullptr;
ucontext_t g_main;
std::vector<void*> g_stacks;  // to be used again

void* TakeStack() {
  if (!g_stacks.empty()) {
    void* stack = g_stacks.back();
    g_stacks.pop_back();
    return stack;
  }
  void* stack =
      mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  COHO_CHECK(stack != MAP_FAILED, "no memory for a stack");
  return stack;
}

}  // namespace

Scheduler* Scheduler::Current() { return g_scheduler; }
Process* Scheduler::CurrentProcess() { return g_fiber == nullptr ? nullptr : g_fiber->process; }

Scheduler::Scheduler(uint64_t seed) : dice_(seed) {
  COHO_CHECK(g_scheduler == nullptr, "one simulation at a time");
  g_scheduler = this;
  now_ = MonotonicTime(std::chrono::hours(1000));
}

Scheduler::~Scheduler() {
  for (const auto& fiber : fibers_) Retire(fiber.get());
  g_scheduler = nullptr;
}

WallTime Scheduler::wall() const {
  return WallTime(now_.time_since_epoch() + skipped_ + std::chrono::hours(24 * 365 * 52));
}

void Scheduler::Push(MonotonicTime at, Fiber* fiber) {
  due_.push({.at = at, .order = ++order_, .fiber = fiber, .token = fiber->token, .call = {}});
}

void Scheduler::At(MonotonicTime when, std::function<void()> what) {
  due_.push({.at = std::max(when, now_),
             .order = ++order_,
             .fiber = nullptr,
             .token = 0,
             .call = std::move(what)});
}

Process* Scheduler::Start(std::string name, int host, std::function<void()> main) {
  auto& process = processes_.emplace_back(std::make_unique<Process>());
  process->name = std::move(name);
  process->host = host;
  Spawn(process.get(), [this, main = std::move(main)] {
    main();
    EndProcess(CurrentProcess()->exit_code);
  });
  return process.get();
}

Fiber* Scheduler::Spawn(Process* process, std::function<void()> body) {
  Fiber* fiber = fibers_.emplace_back(std::make_unique<Fiber>()).get();
  fiber->process = process;
  fiber->body = std::move(body);
  process->fibers.push_back(fiber);
  Push(now_ + std::chrono::microseconds(dice_.Between(0, 200)), fiber);
  return fiber;
}

void Scheduler::Entry() {
  Fiber* self = g_fiber;
  self->body();
  self->done = true;
  g_scheduler->Notify(self, true);
  g_scheduler->SwitchOut();
  std::abort();
}

void Scheduler::Resume(Fiber* fiber) {
  if (!fiber->started) {
    fiber->started = true;
    fiber->stack = TakeStack();
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack;
    fiber->context.uc_stack.ss_size = kStackBytes;
    fiber->context.uc_link = nullptr;
    makecontext(&fiber->context, &Scheduler::Entry, 0);
  }
  ++switches_;
  void* globals = __cxxabiv1::__cxa_get_globals();
  void* ours[2];
  std::memcpy(ours, globals, sizeof ours);
  std::memcpy(globals, fiber->exceptions, sizeof ours);
  g_fiber = fiber;
  swapcontext(&g_main, &fiber->context);
  g_fiber = nullptr;
  std::memcpy(fiber->exceptions, globals, sizeof ours);
  std::memcpy(globals, ours, sizeof ours);
  if (fiber->done || fiber->process->dead) Retire(fiber);
}

void Scheduler::SwitchOut() { swapcontext(&g_fiber->context, &g_main); }

void Scheduler::Retire(Fiber* fiber) {
  fiber->done = true;
  if (fiber->stack != nullptr) g_stacks.push_back(std::exchange(fiber->stack, nullptr));
}

void Scheduler::Kill(Process* process) {
  if (!process->ended && CurrentProcess() != process) process->exit_code = 137;
  process->dead = process->ended = true;
  for (Fiber* fiber : process->fibers) {
    if (fiber != g_fiber) Retire(fiber);
  }
}

void Scheduler::EndProcess(int exit_code) {
  g_fiber->process->exit_code = exit_code;
  Kill(g_fiber->process);
  SwitchOut();
  std::abort();
}

void Scheduler::Freeze(Process* process) { process->frozen = true; }

void Scheduler::Thaw(Process* process, bool slept) {
  if (!std::exchange(process->frozen, false)) return;
  (void)slept;
  for (Fiber* fiber : std::exchange(process->due, {}))
    Push(now_ + std::chrono::microseconds(dice_.Between(0, 2000)), fiber);
}

void Scheduler::Sleep(Duration time) {
  Fiber* self = g_fiber;
  ++self->token;
  Push(now_ + std::max<Duration>(time, std::chrono::microseconds(1)), self);
  SwitchOut();
}

bool Scheduler::Wait(const void* what, std::optional<MonotonicTime> until) {
  Fiber* self = g_fiber;
  ++self->token;
  self->notified = false;
  waiters_[what].push_back({self, self->token});
  if (until) Push(std::max(*until, now_ + std::chrono::microseconds(5)), self);
  SwitchOut();
  return self->notified;
}

void Scheduler::Notify(const void* what, bool all) {
  const auto found = waiters_.find(what);
  if (found == waiters_.end()) return;
  std::vector<Waiter>& list = found->second;
  while (!list.empty()) {
    const Waiter waiter = list.front();
    list.erase(list.begin());
    if (waiter.fiber->done || waiter.fiber->token != waiter.token || waiter.fiber->notified)
      continue;
    waiter.fiber->notified = true;
    ++waiter.fiber->token;
    Push(now_ + std::chrono::microseconds(dice_.Between(5, 300)), waiter.fiber);
    if (!all) break;
  }
  if (list.empty()) waiters_.erase(found);
}

void Scheduler::Join(Fiber* fiber) {
  while (!fiber->done) Wait(fiber, std::nullopt);
}

void Scheduler::RunUntil(MonotonicTime end) {
  while (!stopped_ && !due_.empty() && due_.top().at <= end) {
    Due due = std::move(const_cast<Due&>(due_.top()));
    due_.pop();
    now_ = std::max(now_, due.at);
    if (due.fiber == nullptr) {
      due.call();
      continue;
    }
    Fiber* fiber = due.fiber;
    if (fiber->done || fiber->token != due.token || fiber->process->dead) continue;
    if (fiber->process->frozen) {
      fiber->process->due.push_back(fiber);
      continue;
    }
    Resume(fiber);
  }
  if (!stopped_) now_ = std::max(now_, end);
}

}  // namespace coho::sim
