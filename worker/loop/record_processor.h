// One record's way through a task: check it against the input's serdes, process it, if that fails
// do what onError says, and move on to the next one's offset.
//
// Thread rule: the run loop's thread.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/kafka/consumer.h"
#include "common/model/job.h"
#include "worker/input/record_router.h"
#include "worker/loop/loop_schedule.h"
#include "worker/loop/loop_state.h"
#include "worker/loop/output_collector.h"
#include "worker/loop/task_runtime.h"

namespace coho {

enum class Verdict {
  kDone,            // processed, skipped or sent to the dead letters
  kProducerFailed,  // the record is not done
  kTaskFailed,      // onError: Fail
};

class RecordProcessor {
 public:
  // All outlive the object.
  RecordProcessor(const Job& job, OutputCollector* collector, LoopSchedule* schedule)
      : job_(job), job_id_(job.id.ToString()), collector_(*collector), schedule_(*schedule) {}

  // A record before the route's position was processed already, and is passed over.
  [[nodiscard]] Verdict Process(const Route& route, const kafka::Record& record, MonotonicTime now);
  [[nodiscard]] Verdict Window(TaskRuntime& task);

  // What the loop's state is to hear of it. REQUIRES: the last verdict was not kDone.
  // `transaction_too_old`: the producer may have failed because of that.
  [[nodiscard]] LoopInput TakeFailure(Verdict verdict, bool transaction_too_old);

 private:
  [[nodiscard]] Verdict Call(TaskRuntime& task, const InputSpec& input, const kafka::Record& record,
                             MonotonicTime now);
  [[nodiscard]] Verdict Handle(TaskRuntime& task, const kafka::Record& record, const Status& error,
                               MonotonicTime now);
  void LogSkipped(const TaskRuntime& task, const kafka::Record& record, const Status& error,
                  MonotonicTime now);

  const Job& job_;
  const std::string job_id_;
  OutputCollector& collector_;
  LoopSchedule& schedule_;
  std::string failure_;  // for people; of kTaskFailed
  MonotonicTime skip_logged_{};
  uint64_t skips_unlogged_ = 0;
};

}  // namespace coho
