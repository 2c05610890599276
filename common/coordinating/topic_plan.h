// Which topics a job needs, what is wrong with those that exist, and which are to be created (R7). Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/coordination/job_view.h"
#include "common/kafka/topic.h"
#include "common/model/assignment.h"
#include "common/model/job.h"

namespace coho {

// What Kafka holds of a job.
struct TopicFacts {
  std::map<std::string, kafka::TopicInfo> topics;  // those of TopicsOf that exist
  std::map<std::string, std::map<std::string, std::string>>
      configs;              // of those of them that are ours
  CoordinatorState stored;  // empty where there is no coordinator topic
};

struct TopicPlan {
  std::optional<JobProblem> problem;
  std::vector<kafka::NewTopic> create;
  JobModel model;  // valid unless the problem blocks
};

// All topics that the job reads and writes, Coho's own included.
[[nodiscard]] std::vector<std::string> TopicsOf(const Job& job);
// Those whose configuration matters: a wrong cleanup policy loses state.
[[nodiscard]] std::vector<std::string> CompactedTopicsOf(const Job& job);
[[nodiscard]] TopicPlan PlanTopics(const Job& job, const TopicFacts& facts);
// The problem that a failed request to Kafka means.
[[nodiscard]] JobProblem ProblemOf(const Status& status, bool blocks_start);

}  // namespace coho
