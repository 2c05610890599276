#include "worker/lifecycle.h"

#include <chrono>
#include <string>

#include "common/base/log.h"

namespace coho {
namespace {

template <class Call>
void Tell(std::mutex& mutex, const Call& call) {
  const std::lock_guard lock(mutex);
  for (const auto& listener : LifecycleListeners()) call(*listener);
}

}  // namespace

void Lifecycle::BeforeStart() {
  Tell(mutex_, [](LifecycleListener& l) { l.BeforeStart(); });
}

void Lifecycle::Step(const LifecycleStep& step) {
  const double seconds = std::chrono::duration<double>(step.took).count();
  if (step.task) {  // of tasks there may be thousands, and each says when it runs
    LogDebug("start step done", {{"step", step.name}, {"task", *step.task}, {"seconds", seconds}});
  } else {
    LogInfo("start step done", {{"step", step.name}, {"seconds", seconds}});
  }
  Tell(mutex_, [&](LifecycleListener& l) { l.OnStep(step); });
}

void Lifecycle::AfterStart() {
  Tell(mutex_, [](LifecycleListener& l) { l.AfterStart(); });
}

void Lifecycle::BeforeStop() {
  Tell(mutex_, [](LifecycleListener& l) { l.BeforeStop(); });
}

void Lifecycle::AfterStop() {
  Tell(mutex_, [](LifecycleListener& l) { l.AfterStop(); });
}

}  // namespace coho
