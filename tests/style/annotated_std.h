// For clang's thread-safety pass alone, included before everything else: the standard library's
// mutex and locks with the annotations that libstdc++ lacks. The library's own classes keep another
// name and are the bases of these.
#pragma once

#define mutex unannotated_mutex
#define lock_guard unannotated_lock_guard
#define unique_lock unannotated_unique_lock
#define scoped_lock unannotated_scoped_lock
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <thread>
#undef mutex
#undef lock_guard
#undef unique_lock
#undef scoped_lock

namespace std {

class __attribute__((capability("mutex"))) mutex : public unannotated_mutex {
 public:
  void lock() __attribute__((acquire_capability())) { unannotated_mutex::lock(); }
  void unlock() __attribute__((release_capability())) { unannotated_mutex::unlock(); }
  bool try_lock() __attribute__((try_acquire_capability(true))) {
    return unannotated_mutex::try_lock();
  }
};

template <class Mutex>
class __attribute__((scoped_lockable)) lock_guard {
 public:
  explicit lock_guard(Mutex& m) __attribute__((acquire_capability(m))) : mutex_(m) { m.lock(); }
  ~lock_guard() __attribute__((release_capability())) { mutex_.unlock(); }
  lock_guard(const lock_guard&) = delete;

 private:
  Mutex& mutex_;
};
template <class Mutex>
lock_guard(Mutex&) -> lock_guard<Mutex>;

using UnannotatedUniqueLock = unannotated_unique_lock<unannotated_mutex>;

template <class Mutex>
class __attribute__((scoped_lockable)) unique_lock : public UnannotatedUniqueLock {
 public:
  using Base = UnannotatedUniqueLock;
  explicit unique_lock(Mutex& m) __attribute__((acquire_capability(m))) : Base(m) {}
  unique_lock(Mutex& m, std::try_to_lock_t t) __attribute__((try_acquire_capability(true, m)))
  : Base(m, t) {}
  ~unique_lock() __attribute__((release_capability())) {}
  void lock() __attribute__((acquire_capability())) { Base::lock(); }
  void unlock() __attribute__((release_capability())) { Base::unlock(); }
};
template <class Mutex>
unique_lock(Mutex&) -> unique_lock<Mutex>;

template <class Mutex>
using scoped_lock = lock_guard<Mutex>;

}  // namespace std
