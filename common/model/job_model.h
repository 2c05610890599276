// What a job is made of, pinned at its first start: counts, names, ids and serdes that never change
// silently afterwards (docs/design.md R0, R7). Values.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "common/model/job.h"

namespace coho {

struct InputModel {
  std::string topic_id;  // Kafka's, not the name; empty: unknown
  int32_t partitions = 0;
  SerdeType key = SerdeType::kBytes;
  SerdeType value = SerdeType::kBytes;
  friend bool operator==(const InputModel&, const InputModel&) = default;
};

struct StoreModel {
  std::string changelog;  // topic; empty: a store without one
  std::string topic_id;   // of the changelog
  SerdeType key = SerdeType::kBytes;
  SerdeType value = SerdeType::kBytes;
  friend bool operator==(const StoreModel&, const StoreModel&) = default;
};

// Coordinator topic, key "model". An empty id means unknown.
struct JobModel {
  int32_t tasks = 0;  // = max partition count over the inputs
  std::string kafka_cluster_id;
  std::map<std::string, InputModel> inputs;  // by topic
  std::map<std::string, StoreModel> stores;  // by name
  // Holds each task's positions in its inputs (partition = task): the changelog of the first store
  // that has one, else a topic of its own.
  std::string positions_topic;
  std::string positions_topic_id;
  friend bool operator==(const JobModel&, const JobModel&) = default;
};

struct TopicIds {
  std::string kafka_cluster_id;
  std::map<std::string, std::string> topics;  // name -> id; those that are known
};

// The model that these partition counts give: as many tasks as the widest input has partitions.
// REQUIRES: every input topic is in `partitions`.
[[nodiscard]] JobModel MakeJobModel(const Job& job,
                                    const std::map<std::string, int32_t>& partitions,
                                    const TopicIds& ids = {});

// What of the job the model does not hold (yet): "input topic visits". Empty: nothing lacks.
[[nodiscard]] std::string MissingInModel(const Job& job, const JobModel& model);

}  // namespace coho
