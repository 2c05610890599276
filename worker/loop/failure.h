// Which exit code a failure that ends the worker has.
#pragma once

#include "common/base/status.h"
#include "common/contract/exit_codes.h"

namespace coho {

// Of a failure in Kafka.
[[nodiscard]] inline int ExitCodeOfKafka(const Status& status) {
  switch (status.code()) {
    case Code::kUnauthenticated:
      return kExitKafkaCredentials;
    case Code::kUnavailable:
    case Code::kDeadlineExceeded:
    case Code::kNotFound:
    case Code::kCorruption:
      return kExitKafkaUnavailable;
    case Code::kInvalidArgument:
      return kExitJobFile;
    default:
      return kExitInternal;
  }
}

}  // namespace coho
