// One record's way through a task: check it against the input's serdes, process it, and if that
// fails do what onError says.
//
// Thread rule: the run loop's thread.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/kafka/consumer.h"
#include "common/model/job.h"
#include "worker/loop/output_collector.h"
#include "worker/loop/task_runtime.h"

namespace coho {

enum class Verdict {
  kDone,            // processed, skipped or sent to the dead letters
  kProducerFailed,  // the collector's failure() says how; the record is not done
  kTaskFailed,      // onError: Fail; failure() says all of it
};

class RecordProcessor {
 public:
  // Both outlive the object.
  RecordProcessor(const Job& job, OutputCollector* collector)
      : job_(job), job_id_(job.id.ToString()), collector_(*collector) {}

  [[nodiscard]] Verdict Process(TaskRuntime& task, const InputSpec& input,
                                const kafka::Record& record, MonotonicTime now);
  [[nodiscard]] Verdict Window(TaskRuntime& task);

  // For people; after kTaskFailed.
  [[nodiscard]] const std::string& failure() const { return failure_; }

 private:
  [[nodiscard]] Verdict Handle(TaskRuntime& task, const kafka::Record& record, const Status& error,
                               MonotonicTime now);
  void LogSkipped(const TaskRuntime& task, const kafka::Record& record, const Status& error,
                  MonotonicTime now);

  const Job& job_;
  const std::string job_id_;
  OutputCollector& collector_;
  std::string failure_;
  MonotonicTime skip_logged_{};
  uint64_t skips_unlogged_ = 0;
};

}  // namespace coho
