#include "worker/tasks/builtin.h"

#include <cstdint>
#include <string>
#include <string_view>

#include "worker/sdk/task.h"

namespace coho {

namespace {

// spec.task.config's `output`, or the only output there is.
Result<std::string> ChooseOutput(const TaskContext& context) {
  const auto named = context.config().find("output");
  const auto& outputs = context.outputs();
  if (named == context.config().end()) {
    if (outputs.size() == 1) return outputs.front();
    return InvalidArgument("spec.task.config.output: not set, and spec.outputs has " +
                           std::to_string(outputs.size()) + " topics; name the one to send to");
  }
  for (const std::string& output : outputs) {
    if (output == named->second) return output;
  }
  return InvalidArgument("spec.task.config.output: found \"" + named->second +
                         "\", which is not among spec.outputs; add it there or name one of them");
}

// spec.task.config's `store`, or the only store there is.
Result<StoreBackend*> ChooseStore(TaskContext& context) {
  const auto named = context.config().find("store");
  if (named != context.config().end()) {
    auto store = context.FindStore(named->second);
    return store.ok() ? store : store.status().WithContext("spec.task.config.store");
  }
  if (context.store_names().size() == 1) return context.FindStore(context.store_names().front());
  return InvalidArgument("spec.task.config.store: not set, and spec.stores has " +
                         std::to_string(context.store_names().size()) +
                         " stores; name the one to count in");
}

class Count final : public StreamTask {
 public:
  Status Init(TaskContext& context) override {
    COHO_ASSIGN_OR_RETURN(output_, ChooseOutput(context));
    COHO_ASSIGN_OR_RETURN(StoreBackend * store, ChooseStore(context));
    return counts_.Bind(store).WithContext("task count needs int64 values");
  }
  Status Process(const Envelope& in, Collector& out) override {
    if (!in.has_key())
      return InvalidRecord("the record has no key; count counts records by their key");
    const int64_t count = counts_.Get(in.key()).value_or(0) + 1;
    counts_.Put(in.key(), count);
    return out.Send(output_, in.key(), count);
  }

 private:
  std::string output_;
  KeyValueStore<std::string_view, int64_t> counts_;
};

class PassThrough final : public StreamTask {
 public:
  Status Init(TaskContext& context) override {
    COHO_ASSIGN_OR_RETURN(output_, ChooseOutput(context));
    return Status::Ok();
  }
  Status Process(const Envelope& in, Collector& out) override {
    if (in.is_tombstone()) return out.SendTombstone(output_, in.key());
    return out.Send(output_, in.key(), in.value());
  }

 private:
  std::string output_;
};

}  // namespace

void RegisterBuiltinTasks() {
  RegisterTask("count", [] { return std::make_unique<Count>(); });
  RegisterTask("pass-through", [] { return std::make_unique<PassThrough>(); });
}

}  // namespace coho
