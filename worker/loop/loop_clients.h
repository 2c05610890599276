// A run loop's Kafka clients: made when they are missing, made known to those who read and send
// through them, and dropped with everything that they have under way.
//
// Thread rule: the run loop's thread.
#pragma once

#include <functional>
#include <memory>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "worker/commit/committer.h"
#include "worker/commit/ports.h"
#include "worker/loop/loop_tasks.h"
#include "worker/loop/output_collector.h"

namespace coho {

class LoopClients {
 public:
  struct Options {
    LoopPorts* ports = nullptr;  // outlives the object, like everything pointed to
    LoopTasks* tasks = nullptr;
    OutputCollector* collector = nullptr;
    Committer* committer = nullptr;
    std::function<bool()> keep_waiting;  // for room in a full queue
  };
  explicit LoopClients(Options options) : options_(std::move(options)) {}

  // One attempt to make what is missing and to initialise the producer, which fences an older one.
  // Waits a second at most; to be repeated.
  [[nodiscard]] Status Connect();
  [[nodiscard]] bool has_producer() const { return outputs_ != nullptr; }
  // REQUIRES: Connect succeeded once.
  [[nodiscard]] InputPort& inputs() {
    COHO_CHECK(inputs_ != nullptr, "a run loop reads before it is connected");
    return *inputs_;
  }

  // The records of the last poll are not looked at any more.
  void ReleaseRecords();
  void DropProducer();
  // An open transaction is aborted so that readers need not wait for it to time out. The tasks go
  // after it, and before the reader.
  void Close();

 private:
  const Options options_;
  std::unique_ptr<InputPort> inputs_;
  std::unique_ptr<OutputPort> outputs_;
};

}  // namespace coho
