// Finds whose record it is: from a record's topic and partition to the task and its position,
// without hashing names. Records come in runs of one partition, so the last answer is tried first.
//
// Thread rule: the run loop's thread.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <map>
#include <utility>

#include "common/base/ids.h"
#include "common/kafka/consumer.h"
#include "worker/input/task_inputs.h"

namespace coho {

class TaskRuntime;  // worker/loop; only carried here

struct Route {
  TaskRuntime* task = nullptr;
  InputPosition* position = nullptr;
};

class RecordRouter {
 public:
  // `route`'s pointers stay valid until Remove.
  void Add(const TopicPartition& partition, Route route) { by_name_[partition] = route; }

  // Forgets handles, too: a consumer may reuse them once a topic is no longer assigned.
  void Remove(const TopicPartition& partition) {
    by_name_.erase(partition);
    by_handle_.clear();
    last_handle_ = nullptr;
  }

  // nullptr: the partition is not ours (any more).
  [[nodiscard]] const Route* Find(const kafka::Record& record) {
    const void* handle = record.topic_handle();
    const int32_t partition = record.partition();
    if (handle == last_handle_ && partition == last_partition_) return &last_;
    return FindSlow(record, handle, partition);
  }

 private:
  const Route* FindSlow(const kafka::Record& record, const void* handle, int32_t partition);

  std::map<TopicPartition, Route> by_name_;
  absl::flat_hash_map<std::pair<const void*, int32_t>, Route> by_handle_;
  const void* last_handle_ = nullptr;
  int32_t last_partition_ = 0;
  Route last_;
};

}  // namespace coho
