// Hears of a worker's start and end, for user code that has to do something around them: warm a
// client up, register somewhere, measure. The steps of a start, in order: state-directory, http,
// kafka-clients, coordinator-topic, assignment; then for each task restore-stores, read-offsets,
// init-task.
//
//   class Announce final : public coho::LifecycleListener {
//     void AfterStart() override { ... }
//   };
//   COHO_REGISTER_LIFECYCLE_LISTENER(Announce);
//
// Calls come from the worker's threads, never two at a time; they hold up what they announce, so
// they should be short.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"

namespace coho {

struct LifecycleStep {
  std::string_view name;
  std::optional<TaskId> task;  // of a step that belongs to one task
  Duration took{};
};

class LifecycleListener {
 public:
  virtual ~LifecycleListener() = default;
  virtual void BeforeStart() {}  // flags and job are read, nothing is open yet
  virtual void OnStep(const LifecycleStep& /*step*/) {}  // a step is done
  virtual void AfterStart() {}  // the first assignment is known and all its tasks run
  virtual void BeforeStop() {}  // asked to stop; tasks still run
  virtual void AfterStop() {}   // tasks are committed and closed
};

// In order of registration; before WorkerMain.
inline std::vector<std::unique_ptr<LifecycleListener>>& LifecycleListeners() {
  static std::vector<std::unique_ptr<LifecycleListener>> listeners;
  return listeners;
}
inline bool RegisterLifecycleListener(std::unique_ptr<LifecycleListener> listener) {
  LifecycleListeners().push_back(std::move(listener));
  return true;
}

}  // namespace coho

#define COHO_REGISTER_LIFECYCLE_LISTENER(Class)                         \
  [[maybe_unused]] static const bool coho_registered_listener_##Class = \
      ::coho::RegisterLifecycleListener(std::make_unique<Class>())
