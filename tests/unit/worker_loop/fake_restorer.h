// A restorer that has the stores at once.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "tests/support/memory_engine.h"
#include "tests/unit/worker_loop/fake_ports.h"
#include "worker/restore/restore_port.h"
#include "worker/store/positions.h"

namespace coho::test {

// Stores as of the last commit in the log; without changelog, as the engine has them.
class FakeRestorer final : public RestorePort {
 public:
  FakeRestorer(const Job& job, FakeKafka* kafka, MemoryEngineFactory* engines)
      : job_(job), kafka_(*kafka), engines_(*engines) {}
  void Restore(RestoreRequest request) override {
    if (!failure.ok()) {
      request.done(std::exchange(failure, Status::Ok()));
      return;
    }
    RestoredTask restored{.task = request.task};
    restored.state_without_positions = state_without_positions;
    for (const StoreSpec& spec : job_.stores) {
      auto engine = engines_.Open(spec.name, request.task).value();
      if (spec.changelog) Replay(request.task, engine.get());
      restored.stores.push_back(
          std::make_unique<TaskStore>(TaskStore::Options{.spec = spec,
                                                         .marker = {.job_id = job_.id.ToString()},
                                                         .record_bytes_max = record_bytes_max},
                                      std::move(engine)));
    }
    restored.positions = Recorded(request.task);
    ++restores;
    request.done(std::move(restored));
  }
  void Cancel(TaskId) override {}
  // The last positions record of the task.
  [[nodiscard]] std::optional<Positions> Recorded(TaskId task) const {
    std::optional<Positions> found;
    for (const StoredRecord& record : kafka_.log[{topic, task.value()}]) {
      if (record.key == kPositionsKey && record.value)
        found = DecodePositionsRecord(*record.value).value();
    }
    return found;
  }
  std::string topic;  // of the positions, and of the one changelog
  std::string state_without_positions;
  Status failure;                // once
  int64_t record_bytes_max = 0;  // of a store's key and value
  int restores = 0;

 private:
  void Replay(TaskId task, Engine* engine) {
    for (const StoredRecord& record : kafka_.log[{topic, task.value()}]) {
      if (record.key == kPositionsKey) continue;
      const EngineWrite write{.key = record.key,
                              .value = record.value ? std::string_view(*record.value) : "",
                              .remove = !record.value};
      CHECK(engine->Write({&write, 1}, {}).ok());
    }
  }

  const Job& job_;
  FakeKafka& kafka_;
  MemoryEngineFactory& engines_;
};

}  // namespace coho::test
