// Which topics a job needs, what is wrong with those that exist, and which are to be created (R7).
// Pure.
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
      configs;  // of those of them that are ours
  std::string kafka_cluster_id;
  CoordinatorState stored;  // empty where there is no coordinator topic
};

struct TopicPlan {
  std::optional<JobProblem> problem;
  std::vector<kafka::NewTopic> create;
  JobModel model;  // valid unless the problem blocks
};

// All topics that the job reads and writes, Coho's own included. `stored`: what is known of the
// job's model.
[[nodiscard]] std::vector<std::string> TopicsOf(const Job& job,
                                                const CoordinatorState& stored = {});
// Those of Coho's own, whose configuration matters: a wrong cleanup policy loses state.
[[nodiscard]] std::vector<std::string> OwnTopicsOf(const Job& job,
                                                   const CoordinatorState& stored = {});
// Own topics that exist although the coordinator topic does not, or may not say whose they are: an
// earlier life of the job left them. Beside a coordinator topic only those that hold state.
[[nodiscard]] std::vector<std::string> LeftoversOf(const Job& job, const TopicFacts& facts);
// What an earlier life or another owner left may be taken over (spec.state.onLeftover: Adopt).
[[nodiscard]] bool AdoptsLeftovers(const Job& job);
// `unclaimed`: there is a coordinator topic, and no claim in it.
[[nodiscard]] JobProblem ProblemOfLeftovers(const Job& job, const std::vector<std::string>& topics,
                                            bool unclaimed);
[[nodiscard]] TopicPlan PlanTopics(const Job& job, const TopicFacts& facts);
// The problem that a failed request to Kafka means.
[[nodiscard]] JobProblem ProblemOf(const Status& status, bool blocks_start);

}  // namespace coho
