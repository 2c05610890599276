// Tells the log and the registered listeners what the worker is doing, one call at a time whatever
// thread it comes from.
#pragma once

#include <mutex>

#include "worker/sdk/lifecycle.h"

namespace coho {

// Safe to use from any thread.
class Lifecycle {
 public:
  void BeforeStart();
  void Step(const LifecycleStep& step);
  void AfterStart();
  void BeforeStop();
  void AfterStop();

 private:
  std::mutex mutex_;
};

}  // namespace coho
