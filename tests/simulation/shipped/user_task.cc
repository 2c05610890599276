#include "tests/simulation/shipped/user_task.h"

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "tests/support/sim/cloud.h"

namespace coho::simulation {
namespace {

class Count final : public StreamTask {
 public:
  Count(Oracle* oracle, UserTask how) : oracle_(oracle), how_(std::move(how)) {}
  Status Init(TaskContext& context) override {
    for (const std::string& name : context.store_names())
      COHO_RETURN_IF_ERROR(context.OpenStore(name, &stores_.emplace_back()));
    output_ = context.outputs().front();
    return Status::Ok();
  }
  Status Process(const Envelope& in, Collector& out) override {
    sim::Scheduler& scheduler = *sim::Scheduler::Current();
    const auto& stands = sim::Cloud::current->stands_until;
    if (const auto until = stands.find(sim::Scheduler::CurrentProcess());
        until != stands.end() && until->second > scheduler.now())
      scheduler.Sleep(until->second - scheduler.now());
    if (how_.takes > Duration::zero()) scheduler.Sleep(how_.takes);
    if (how_.hangs > Duration::zero() && scheduler.dice().Percent(1)) scheduler.Sleep(how_.hangs);
    const std::string index(in.value());
    oracle_->Processed(std::string(in.key()), std::strtoll(index.c_str(), nullptr, 10));
    const int64_t before = stores_.front().Get(in.key()).value_or(0);
    int64_t count = before + 1;
    stores_.front().Put(in.key(), count);
    for (size_t i = 1; i < stores_.size(); ++i) {
      // Holds the odd counts alone.
      const auto other = stores_[i].Get(in.key());
      const bool empty = !how_.kept[i] && !other;
      if (how_.strict && !empty && how_.kept[0] &&
          other.value_or(0) != (before % 2 == 1 ? before : 0))
        count = -1;
      if (before % 2 == 0) {
        stores_[i].Put(in.key(), before + 1);
      } else {
        stores_[i].Remove(in.key());
      }
    }
    return out.Send(output_, in.key(), std::to_string(count) + ":" + index);
  }

 private:
  Oracle* oracle_;
  const UserTask how_;
  std::string output_;
  std::vector<KeyValueStore<std::string_view, int64_t>> stores_;
};

}  // namespace

TaskFactory CountingTasks(Oracle* oracle, const UserTask& how) {
  return [=] { return std::make_unique<Count>(oracle, how); };
}

}  // namespace coho::simulation
