#include "tests/simulation/shipped/user_task.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

namespace coho::simulation {
namespace {

class Count final : public StreamTask {
 public:
  Count(Oracle* oracle, bool strict) : oracle_(oracle), strict_(strict) {}
  Status Init(TaskContext& context) override {
    for (const std::string& name : context.store_names())
      COHO_RETURN_IF_ERROR(context.OpenStore(name, &stores_.emplace_back()));
    output_ = context.outputs().front();
    return Status::Ok();
  }
  Status Process(const Envelope& in, Collector& out) override {
    const std::string index(in.value());
    oracle_->Processed(std::string(in.key()), std::strtoll(index.c_str(), nullptr, 10));
    int64_t count = 0;
    for (auto& store : stores_) {
      const int64_t next = store.Get(in.key()).value_or(0) + 1;
      store.Put(in.key(), next);
      // Stores that are committed together never differ.
      count = count == 0 || count == next ? next : strict_ ? -1 : std::min(count, next);
    }
    return out.Send(output_, in.key(), std::to_string(count) + ":" + index);
  }

 private:
  Oracle* oracle_;
  bool strict_;
  std::string output_;
  std::vector<KeyValueStore<std::string_view, int64_t>> stores_;
};

}  // namespace

TaskFactory CountingTasks(Oracle* oracle, Guarantee guarantee) {
  return [=] { return std::make_unique<Count>(oracle, guarantee == Guarantee::kExactlyOnce); };
}

}  // namespace coho::simulation
