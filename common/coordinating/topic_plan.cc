#include "common/coordinating/topic_plan.h"

#include <algorithm>
#include <set>
#include <utility>

namespace coho {
namespace {

std::string Quoted(const std::string& text) { return "\"" + text + "\""; }

std::string Partitions(int32_t n) {
  return std::to_string(n) + (n == 1 ? " partition" : " partitions");
}

std::string Path(const char* list, size_t index) {
  return std::string("spec.") + list + "[" + std::to_string(index) + "].topic";
}

class Planner {
 public:
  Planner(const Job& job, const TopicFacts& facts) : job_(job), facts_(facts) {}

  TopicPlan Make() {
    if (CountInputs() && CheckInputCounts() && CheckWorkers() && PlanOutputs() && PlanOwn())
      return std::move(plan_);
    plan_.create.clear();  // nothing is created for a job that cannot run
    return std::move(plan_);
  }

 private:
  [[nodiscard]] const kafka::TopicInfo* Find(const std::string& topic) const {
    const auto found = facts_.topics.find(topic);
    return found == facts_.topics.end() ? nullptr : &found->second;
  }

  // False, so that a check can end with it.
  bool Refuse(ProblemReason reason, std::string message) {
    plan_.problem = JobProblem{reason, std::move(message), true};
    return false;
  }
  // The job goes on; the first such problem is shown.
  void Warn(ProblemReason reason, std::string message) {
    if (!plan_.problem) plan_.problem = JobProblem{reason, std::move(message), false};
  }

  bool CountInputs() {
    for (size_t i = 0; i < job_.inputs.size(); ++i) {
      const std::string& topic = job_.inputs[i].topic;
      const kafka::TopicInfo* found = Find(topic);
      if (found == nullptr) {
        return Refuse(ProblemReason::kTopicMissing,
                      Path("inputs", i) + ": topic " + Quoted(topic) + " does not exist on " +
                          job_.kafka.bootstrap_servers + "; create it, or correct the name");
      }
      counts_[topic] = found->partitions;
      if (!facts_.stored.model) continue;
      const auto pinned = facts_.stored.model->inputs.find(topic);
      if (pinned == facts_.stored.model->inputs.end()) continue;
      const int32_t partitions = pinned->second.partitions;
      counts_[topic] = partitions;
      if (found->partitions == partitions) continue;
      const std::string change = Path("inputs", i) + ": topic " + Quoted(topic) + " had " +
                                 Partitions(partitions) + " when the job was started and has " +
                                 std::to_string(found->partitions) + " now; ";
      if (found->partitions < partitions) {
        return Refuse(ProblemReason::kPartitionCountChanged,
                      change +
                          "it was made anew, and the job's state does not "
                          "belong to it: restore the topic, or "
                          "start a new job under another name");
      }
      Warn(ProblemReason::kPartitionCountChanged, change + "the job goes on with the first " +
                                                      std::to_string(partitions) +
                                                      ": records in the others are not read");
    }
    return true;
  }

  bool CheckInputCounts() {
    plan_.model = MakeJobModel(job_, counts_);
    const std::optional<JobModel>& pinned = facts_.stored.model;
    if (pinned && pinned->tasks != plan_.model.tasks) {
      return Refuse(
          ProblemReason::kPartitionCountChanged,
          "spec.inputs: the job was started with " + std::to_string(pinned->tasks) +
              " tasks, these inputs give " + std::to_string(plan_.model.tasks) +
              "; the number of tasks cannot change: correct the inputs, or start a new job");
    }
    if (job_.stores.empty()) return true;
    for (const InputSpec& input : job_.inputs) {
      if (counts_[input.topic] == plan_.model.tasks) continue;
      std::string counts;
      for (const auto& [topic, count] : counts_) {
        counts += (counts.empty() ? "" : ", ") + Quoted(topic) + " has " + std::to_string(count);
      }
      return Refuse(ProblemReason::kPartitionCountsDiffer,
                    "spec.inputs: the inputs of a job with stores need equal partition counts, so "
                    "that equal keys meet in "
                    "one task; " +
                        counts + ": repartition the input that differs");
    }
    return true;
  }

  bool CheckWorkers() {
    const int32_t count = job_.workers.count;
    const int32_t tasks = plan_.model.tasks;
    if (count <= tasks) return true;
    const std::string message = "spec.workers.count: found " + std::to_string(count) +
                                ", but the inputs have " + Partitions(tasks) +
                                ", and so the job has " + std::to_string(tasks) +
                                " tasks; ask for " + std::to_string(tasks) + " at most";
    if (facts_.stored.assignment.generation == Generation(0))
      return Refuse(ProblemReason::kTooManyWorkers, message);
    Warn(ProblemReason::kTooManyWorkers, message + "; the others stay idle");
    return true;
  }

  void Create(const std::string& topic, int32_t partitions,
              std::map<std::string, std::string> config = {}) {
    if (Find(topic) != nullptr) return;
    plan_.create.push_back({topic, partitions, job_.kafka.replication_factor, std::move(config)});
  }

  bool PlanOutputs() {
    for (size_t i = 0; i < job_.outputs.size(); ++i) {
      const OutputSpec& output = job_.outputs[i];
      if (Find(output.topic) == nullptr && output.partitions <= 0) {
        return Refuse(ProblemReason::kTopicMissing,
                      Path("outputs", i) + ": topic " + Quoted(output.topic) +
                          " does not exist on " + job_.kafka.bootstrap_servers +
                          "; create it, or set spec.outputs[" + std::to_string(i) +
                          "].partitions and Coho will");
      }
      Create(output.topic, output.partitions);
    }
    if (job_.processing.on_error == OnError::kDeadLetter)
      Create(job_.processing.dead_letter_topic, 1);
    return true;
  }

  // An existing topic of ours with other partitions, or one from which Kafka deletes what is still needed.
  bool CheckCompacted(const std::string& what, const std::string& topic, int32_t partitions) {
    const kafka::TopicInfo* found = Find(topic);
    if (found == nullptr) return true;
    if (found->partitions != partitions) {
      return Refuse(ProblemReason::kChangelogUnusable,
                    what + " " + Quoted(topic) + " has " + Partitions(found->partitions) +
                        ", the job needs " + std::to_string(partitions) +
                        "; it was not made by this job: delete it if nobody needs it, or set "
                        "another spec.kafka.topicPrefix");
    }
    const auto config = facts_.configs.find(topic);
    if (config == facts_.configs.end()) return true;
    const auto policy = config->second.find("cleanup.policy");
    if (policy == config->second.end() || policy->second == "compact") return true;
    return Refuse(ProblemReason::kChangelogUnusable,
                  what + " " + Quoted(topic) + " has cleanup.policy=" + policy->second +
                      ", need compact: Kafka would delete state that is still needed; set "
                      "cleanup.policy=compact on the topic");
  }

  bool PlanOwn() {
    if (!CheckCompacted("coordinator topic", job_.CoordinatorTopic(), 1)) return false;
    Create(job_.CoordinatorTopic(), 1, {{"cleanup.policy", "compact"}});
    Create(job_.HeartbeatsTopic(), 1,
           {{"cleanup.policy", "delete"}, {"retention.ms", "600000"}, {"segment.ms", "60000"}});
    for (const auto& [store, pinned] : plan_.model.stores) {
      const std::string& topic = pinned.changelog;
      if (topic.empty()) continue;
      if (!CheckCompacted("store " + Quoted(store) + ": changelog topic", topic, plan_.model.tasks))
        return false;
      Create(topic, plan_.model.tasks,
             {{"cleanup.policy", "compact"},
              {"min.compaction.lag.ms", "0"},
              {"delete.retention.ms", "86400000"}});
    }
    const std::string& positions = plan_.model.positions_topic;
    const bool a_changelog =
        std::any_of(plan_.model.stores.begin(), plan_.model.stores.end(),
                    [&](const auto& store) { return store.second.changelog == positions; });
    if (a_changelog || positions.empty()) return true;
    if (!CheckCompacted("positions topic", positions, plan_.model.tasks)) return false;
    Create(positions, plan_.model.tasks, {{"cleanup.policy", "compact"}});
    return true;
  }

  const Job& job_;
  const TopicFacts& facts_;
  std::map<std::string, int32_t> counts_;
  TopicPlan plan_;
};

}  // namespace

std::vector<std::string> CompactedTopicsOf(const Job& job) {
  std::set<std::string> topics = {job.CoordinatorTopic()};
  bool changelogs = false;
  for (const StoreSpec& store : job.stores) {
    if (!store.changelog) continue;
    changelogs = true;
    topics.insert(job.ChangelogTopic(store.name));
  }
  if (!changelogs) topics.insert(job.kafka.topic_prefix + "-positions");
  return {topics.begin(), topics.end()};
}

std::vector<std::string> TopicsOf(const Job& job) {
  std::set<std::string> topics = {job.HeartbeatsTopic()};
  for (const InputSpec& input : job.inputs) topics.insert(input.topic);
  for (const OutputSpec& output : job.outputs) topics.insert(output.topic);
  if (job.processing.on_error == OnError::kDeadLetter)
    topics.insert(job.processing.dead_letter_topic);
  for (std::string& topic : CompactedTopicsOf(job)) topics.insert(std::move(topic));
  return {topics.begin(), topics.end()};
}

TopicPlan PlanTopics(const Job& job, const TopicFacts& facts) { return Planner(job, facts).Make(); }

JobProblem ProblemOf(const Status& status, bool blocks_start) {
  switch (status.code()) {
    case Code::kUnauthenticated:
      return {ProblemReason::kKafkaAuthenticationFailed,
              status.message() + "; correct the credentials or the rights that spec.kafka names",
              blocks_start};
    case Code::kUnavailable:
    case Code::kDeadlineExceeded:
      return {ProblemReason::kKafkaUnreachable,
              status.message() + "; is spec.kafka.bootstrapServers right, and is Kafka up?",
              blocks_start};
    default:
      return {ProblemReason::kKafkaError, status.message(), blocks_start};
  }
}

}  // namespace coho
