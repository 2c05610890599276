// A run loop over a Kafka in memory, turned by hand.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/unit/worker_loop/fake_restorer.h"
#include "worker/loop/run_loop.h"

namespace coho::test {

using std::chrono::milliseconds;
using std::chrono::seconds;

inline const TopicPartition kIn = {"in", 0};
inline const TopicPartition kOut = {"out", 0};

// Counts keys in every store it has; sends the count of the first.
class CountingTask final : public StreamTask {
 public:
  struct Probe {
    int inits = 0;
    int processed = 0;
    std::function<void(int processed)> on_process;
  };
  explicit CountingTask(Probe* probe) : probe_(*probe) {}
  Status Init(TaskContext& context) override {
    ++probe_.inits;
    for (const std::string& name : context.store_names())
      COHO_RETURN_IF_ERROR(context.OpenStore(name, &stores_.emplace_back()));
    return Status::Ok();
  }
  Status Process(const Envelope& in, Collector& out) override {
    ++probe_.processed;
    if (probe_.on_process) probe_.on_process(probe_.processed);
    int64_t first = 0;
    for (auto& store : stores_) {
      const int64_t count = store.Get(in.key()).value_or(0) + 1;
      store.Put(in.key(), count);
      if (first == 0) first = count;
    }
    return out.Send("out", in.key(), std::to_string(first));
  }

 private:
  Probe& probe_;
  std::deque<KeyValueStore<std::string_view, int64_t>> stores_;
};

struct World {
  explicit World(Guarantee guarantee = Guarantee::kExactlyOnce,
                 StartFrom start_from = StartFrom::kEarliest)
      : job(MakeJob(guarantee, start_from)),
        ports(&kafka, guarantee == Guarantee::kExactlyOnce),
        restorer(job, &kafka, &engines),
        lease(seconds(6)) {
    clock.Advance(seconds(100));
    model = MakeJobModel(job, {{"in", 1}});
    model.positions_topic = model.stores.at("a").changelog;
    restorer.topic = model.positions_topic;
    if (guarantee == Guarantee::kAtLeastOnce) lease.Renew(clock.Now(), clock);
    MakeLoop();
  }
  static Job MakeJob(Guarantee guarantee, StartFrom start_from) {
    Job job;
    job.id = JobId{"test", "job"};
    job.inputs = {{.topic = "in", .start_from = start_from}};
    job.outputs = {{.topic = "out"}};
    StoreSpec a{.name = "a"};
    a.value = SerdeType::kInt64;
    StoreSpec b = a;
    b.name = "b";
    b.changelog = false;
    job.stores = {a, b};
    job.processing.guarantee = guarantee;
    job.processing.commit_interval = milliseconds(100);
    return job;
  }
  void MakeLoop() {
    loop = std::make_unique<RunLoop>(RunLoop::Options{
        .index = 0,
        .job = &job,
        .factory = [this]() -> std::unique_ptr<StreamTask> {
          if (bad_factory) return nullptr;
          return std::make_unique<CountingTask>(&probe);
        },
        .ports = &ports,
        .commit = {.commit_interval = milliseconds(100)},
        .lease = job.processing.guarantee == Guarantee::kAtLeastOnce ? &lease : nullptr,
        .clock = &clock,
        .on_event = [this](int32_t, LoopEvent event) { events.push_back(std::move(event)); },
        .on_step = [](const LifecycleStep&) {}});
  }
  void Grant() {
    loop->GrantTask({.task = TaskId(0),
                     .number = ++grants,
                     .model = &model,
                     .restorer = &restorer,
                     .lease_epoch = lease.epoch()});
  }
  void Turns(int n, Duration each = milliseconds(20)) {
    for (int i = 0; i < n; ++i) {
      loop->Turn();
      clock.Advance(each);
      if (keep_lease) lease.Renew(clock.Now(), clock);
    }
  }
  void Write(int n) {
    for (int i = 0; i < n; ++i) kafka.Add(kIn, "k" + std::to_string(i % 3), "v");
  }
  [[nodiscard]] int Told(const std::function<bool(const LoopEvent&)>& is) const {
    return static_cast<int>(std::count_if(events.begin(), events.end(), is));
  }
  template <class Event>
  [[nodiscard]] int Told() const {
    return Told([](const LoopEvent& e) { return std::holds_alternative<Event>(e); });
  }
  // Every key's running counts in the output are 1..n, each once.
  [[nodiscard]] bool CountsAreExact(int records) {
    std::map<std::string, int> counts;
    for (const StoredRecord& record : kafka.log[kOut]) {
      if (*record.value != std::to_string(++counts[record.key])) return false;
    }
    return static_cast<int>(kafka.log[kOut].size()) == records;
  }
  [[nodiscard]] int64_t Recorded() const {
    const auto positions = restorer.Recorded(TaskId(0));
    return positions ? FindPosition(*positions, "in", 0)->next : -1;
  }

  Job job;
  FakeKafka kafka;
  FakePorts ports;
  MemoryEngineFactory engines;
  FakeRestorer restorer;
  Lease lease;
  ManualClock clock;
  JobModel model;
  CountingTask::Probe probe;
  std::vector<LoopEvent> events;
  std::unique_ptr<RunLoop> loop;
  int64_t grants = 0;
  bool bad_factory = false;
  bool keep_lease = false;
};

}  // namespace coho::test
