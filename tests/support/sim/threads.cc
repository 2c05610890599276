// The part of the C library that shipped code reaches through std::thread, std::mutex,
// std::condition_variable, clocks and std::random_device. Inside a simulated process the scheduler
// answers; anywhere else the C library does.
#include <dlfcn.h>
#include <pthread.h>
#include <time.h>

#include <chrono>
#include <cstdint>
#include <random>

#include "tests/support/sim/scheduler.h"

namespace coho::sim {
namespace {

bool InFiber() { return Scheduler::CurrentProcess() != nullptr; }

template <class Function>
Function* Real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

int& Locked(pthread_mutex_t* mutex) { return *reinterpret_cast<int*>(mutex); }

void Lock(pthread_mutex_t* mutex) {
  while (Locked(mutex) != 0) Scheduler::Current()->Wait(mutex, std::nullopt);
  Locked(mutex) = 1;
}

void Unlock(pthread_mutex_t* mutex) {
  Locked(mutex) = 0;
  Scheduler::Current()->Notify(mutex, false);
}

Duration SinceEpoch(clockid_t clock) {
  const Scheduler& scheduler = *Scheduler::Current();
  const Process& process = *Scheduler::CurrentProcess();
  switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
      return scheduler.wall().time_since_epoch() + process.wall_off;
    case CLOCK_BOOTTIME:
      return scheduler.now().time_since_epoch();
    default:
      return scheduler.now().time_since_epoch() - process.monotonic_behind;
  }
}

Duration ToDuration(const timespec& t) {
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

int WaitUntil(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
              const timespec* until) {
  Scheduler& scheduler = *Scheduler::Current();
  std::optional<MonotonicTime> deadline;
  if (until != nullptr) deadline = scheduler.now() + (ToDuration(*until) - SinceEpoch(clock));
  Unlock(mutex);
  const bool notified = scheduler.Wait(condition, deadline);
  Lock(mutex);
  return notified ? 0 : ETIMEDOUT;
}

}  // namespace
}  // namespace coho::sim

using namespace coho::sim;  // NOLINT

extern "C" {

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument) {
  if (!InFiber()) {
    static auto* real =
        Real<int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*)>("pthread_create");
    return real(thread, attributes, start, argument);
  }
  Fiber* fiber = Scheduler::Current()->Spawn(Scheduler::CurrentProcess(),
                                             [start, argument] { start(argument); });
  *thread = reinterpret_cast<pthread_t>(fiber);
  return 0;
}

int pthread_join(pthread_t thread, void** result) {
  if (!InFiber()) {
    static auto* real = Real<int(pthread_t, void**)>("pthread_join");
    return real(thread, result);
  }
  Scheduler::Current()->Join(reinterpret_cast<Fiber*>(thread));
  return 0;
}

int pthread_detach(pthread_t thread) {
  if (!InFiber()) {
    static auto* real = Real<int(pthread_t)>("pthread_detach");
    return real(thread);
  }
  return 0;
}

int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  if (!InFiber()) {
    static auto* real = Real<int(pthread_mutex_t*)>("pthread_mutex_lock");
    return real(mutex);
  }
  Lock(mutex);
  return 0;
}

int pthread_mutex_trylock(pthread_mutex_t* mutex) noexcept {
  if (!InFiber()) {
    static auto* real = Real<int(pthread_mutex_t*)>("pthread_mutex_trylock");
    return real(mutex);
  }
  if (Locked(mutex) != 0) return EBUSY;
  Locked(mutex) = 1;
  return 0;
}

int pthread_mutex_unlock(pthread_mutex_t* mutex) noexcept {
  if (!InFiber()) {
    static auto* real = Real<int(pthread_mutex_t*)>("pthread_mutex_unlock");
    return real(mutex);
  }
  Unlock(mutex);
  return 0;
}

int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
  if (!InFiber()) {
    static auto* real = Real<int(pthread_cond_t*, pthread_mutex_t*)>("pthread_cond_wait");
    return real(condition, mutex);
  }
  return WaitUntil(condition, mutex, CLOCK_MONOTONIC, nullptr);
}

int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                           const timespec* until) {
  if (!InFiber()) {
    static auto* real =
        Real<int(pthread_cond_t*, pthread_mutex_t*, const timespec*)>("pthread_cond_timedwait");
    return real(condition, mutex, until);
  }
  return WaitUntil(condition, mutex, CLOCK_REALTIME, until);
}

int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                           const timespec* until) {
  if (!InFiber()) {
    static auto* real = Real<int(pthread_cond_t*, pthread_mutex_t*, clockid_t, const timespec*)>(
        "pthread_cond_clockwait");
    return real(condition, mutex, clock, until);
  }
  return WaitUntil(condition, mutex, clock, until);
}

int pthread_cond_signal(pthread_cond_t* condition) noexcept {
  if (!InFiber()) {
    static auto* real = Real<int(pthread_cond_t*)>("pthread_cond_signal");
    return real(condition);
  }
  Scheduler::Current()->Notify(condition, false);
  return 0;
}

int pthread_cond_broadcast(pthread_cond_t* condition) noexcept {
  if (!InFiber()) {
    static auto* real = Real<int(pthread_cond_t*)>("pthread_cond_broadcast");
    return real(condition);
  }
  Scheduler::Current()->Notify(condition, true);
  return 0;
}

int clock_gettime(clockid_t clock, timespec* out) noexcept {
  if (!InFiber()) {
    static auto* real = Real<int(clockid_t, timespec*)>("clock_gettime");
    return real(clock, out);
  }
  const int64_t ns = SinceEpoch(clock).count();
  out->tv_sec = ns / 1'000'000'000;
  out->tv_nsec = ns % 1'000'000'000;
  return 0;
}

int nanosleep(const timespec* time, timespec* left) {
  if (!InFiber()) {
    static auto* real = Real<int(const timespec*, timespec*)>("nanosleep");
    return real(time, left);
  }
  Scheduler::Current()->Sleep(ToDuration(*time));
  return 0;
}

int clock_nanosleep(clockid_t clock, int flags, const timespec* time, timespec* left) {
  if (!InFiber()) {
    static auto* real = Real<int(clockid_t, int, const timespec*, timespec*)>("clock_nanosleep");
    return real(clock, flags, time, left);
  }
  const bool absolute = (flags & TIMER_ABSTIME) != 0;
  Scheduler::Current()->Sleep(absolute ? ToDuration(*time) - SinceEpoch(clock) : ToDuration(*time));
  return 0;
}

}  // extern "C"

unsigned int std::random_device::_M_getval() {
  return static_cast<unsigned int>(
      Scheduler::Current() == nullptr ? 4U : Scheduler::Current()->dice().Next());
}
