// What a failure means for the worker: whether it may pass by itself, and else which exit code it
// has.
#pragma once

#include "common/base/status.h"
#include "common/contract/exit_codes.h"

namespace coho {

// Worth another attempt: Kafka does not answer, or does not know a topic yet. A full disk is not.
[[nodiscard]] inline bool MayPass(const Status& status) {
  switch (status.code()) {
    case Code::kUnavailable:
    case Code::kDeadlineExceeded:
    case Code::kNotFound:
    case Code::kAborted:
      return true;
    default:
      return false;
  }
}

// Of a failure in Kafka.
[[nodiscard]] inline int ExitCodeOfKafka(const Status& status) {
  switch (status.code()) {
    case Code::kUnauthenticated:
      return kExitKafkaCredentials;
    case Code::kUnavailable:
    case Code::kDeadlineExceeded:
    case Code::kNotFound:
    case Code::kCorruption:
    case Code::kInvalidRecord:  // in a topic of ours
      return kExitKafkaUnavailable;
    case Code::kInvalidArgument:
      return kExitJobFile;
    default:
      return kExitInternal;
  }
}

// Of a restore: what is not Kafka's is the disk's, and what does not belong together is a person's
// to decide on.
[[nodiscard]] inline int ExitCodeOfRestore(const Status& status) {
  switch (status.code()) {
    case Code::kCorruption:
    case Code::kResourceExhausted:
    case Code::kInternal:
      return kExitStore;
    case Code::kInvalidArgument:
      return kExitStateRefused;
    default:
      return ExitCodeOfKafka(status);
  }
}

// Of where in its inputs a task begins, and whether they are still the same.
[[nodiscard]] inline int ExitCodeOfStart(const Status& status) {
  return status.code() == Code::kInvalidArgument ? kExitStateRefused : ExitCodeOfKafka(status);
}

}  // namespace coho
