#include "worker/loop/dead_letter.h"

#include <utility>

namespace coho {

DeadLetterHeaders::DeadLetterHeaders(std::vector<kafka::Header> original,
                                     const DeadLetterOrigin& origin)
    : partition_(std::to_string(origin.partition)),
      offset_(std::to_string(origin.offset)),
      task_(ToString(origin.task)),
      headers_(std::move(original)) {
  constexpr size_t kErrorBytesMax = 1000;
  headers_.push_back({.name = "coho-topic", .value = origin.topic});
  headers_.push_back({.name = "coho-partition", .value = partition_});
  headers_.push_back({.name = "coho-offset", .value = offset_});
  headers_.push_back({.name = "coho-error", .value = origin.error.substr(0, kErrorBytesMax)});
  headers_.push_back({.name = "coho-task", .value = task_});
  headers_.push_back({.name = "coho-job", .value = origin.job});
}

}  // namespace coho
