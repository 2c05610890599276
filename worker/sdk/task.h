// What user code is: a StreamTask per task (= per partition), made when a worker is given the task
// and destroyed when it is taken away. All its methods are called on one thread, one after the
// other; tasks share nothing.
//
//   Init ──► Process* / Window* ──► Close        (after an aborted transaction a new object begins at Init)
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "common/base/status.h"
#include "worker/sdk/collector.h"
#include "worker/sdk/envelope.h"
#include "worker/sdk/store.h"

namespace coho {

// What a task may use; lives as long as the task.
class TaskContext {
 public:
  virtual ~TaskContext() = default;
  [[nodiscard]] virtual TaskId task() const = 0;
  [[nodiscard]] virtual int32_t task_count() const = 0;
  // spec.task.config
  [[nodiscard]] virtual const std::map<std::string, std::string>& config() const = 0;
  // Declared output topics, in the order of spec.outputs.
  [[nodiscard]] virtual const std::vector<std::string>& outputs() const = 0;
  // Names of the stores, in the order of spec.stores.
  [[nodiscard]] virtual std::vector<std::string> store_names() const = 0;
  // The store of that name from spec.stores; NotFound names the stores there are.
  [[nodiscard]] virtual Result<StoreBackend*> FindStore(std::string_view name) = 0;

  // Binds a typed handle; InvalidArgument when its types do not fit the store's serdes.
  template <class K, class V>
  [[nodiscard]] Status OpenStore(std::string_view name, KeyValueStore<K, V>* store) {
    COHO_ASSIGN_OR_RETURN(StoreBackend * backend, FindStore(name));
    return store->Bind(backend);
  }
};

class StreamTask {
 public:
  virtual ~StreamTask() = default;
  // Stores are restored when Init is called. A failure ends the worker (onError is for records).
  [[nodiscard]] virtual Status Init(TaskContext& context) {
    (void)context;
    return Status::Ok();
  }
  // InvalidRecord (or any other error) hands the record to the onError policy: Fail, Skip or
  // DeadLetter. What was sent or stored for a record that fails is kept: decide before you write.
  [[nodiscard]] virtual Status Process(const Envelope& in, Collector& out) = 0;
  // Every spec.processing.windowInterval, when it is not zero.
  [[nodiscard]] virtual Status Window(Collector& out) {
    (void)out;
    return Status::Ok();
  }
  // After the last commit of this task; nothing can be sent any more.
  [[nodiscard]] virtual Status Close() { return Status::Ok(); }
};

using TaskFactory = std::function<std::unique_ptr<StreamTask>()>;

// Called before main by COHO_REGISTER_TASK. A name registered twice ends the process.
bool RegisterTask(std::string name, TaskFactory factory);
[[nodiscard]] const TaskFactory* FindTask(std::string_view name);
[[nodiscard]] std::vector<std::string> RegisteredTasks();  // sorted

// main() of a worker binary: parses flags, runs until SIGTERM, returns the exit code
// (common/contract/exit_codes.h).
int WorkerMain(int argc, char** argv);

}  // namespace coho

#define COHO_REGISTER_TASK(name, Class)                                              \
  [[maybe_unused]] static const bool coho_registered_##Class = ::coho::RegisterTask( \
      name, [] { return std::unique_ptr<::coho::StreamTask>(std::make_unique<Class>()); })
