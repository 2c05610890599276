#include "worker/input/record_router.h"

#include <string>

namespace coho {

const Route* RecordRouter::FindSlow(const kafka::Record& record, const void* handle,
                                    int32_t partition) {
  auto known = by_handle_.find({handle, partition});
  if (known == by_handle_.end()) {
    const auto named = by_name_.find(TopicPartition{std::string(record.topic()), partition});
    if (named == by_name_.end()) return nullptr;
    known = by_handle_.emplace(std::pair{handle, partition}, named->second).first;
  }
  last_handle_ = handle;
  last_partition_ = partition;
  last_ = known->second;
  return &last_;
}

}  // namespace coho
