#include "common/coordinating/topic_plan.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/base/mutant.h"

namespace coho {
namespace {

// An assignment's record holds the tasks of one worker, a report all that it runs and stores.
constexpr int64_t kRecordBytesMax = 8 << 20;
// Of a changelog, where Kafka does not tell ids.
constexpr char kUnknownId[] = "unknown";

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
    if (CheckCluster() && CountInputs() && CheckStores() && CheckInputCounts() && CheckWorkers() &&
        PlanOutputs() && PlanOwn())
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

  [[nodiscard]] const JobModel* Pinned() const {
    return facts_.stored.model ? &*facts_.stored.model : nullptr;
  }
  // The job has run: what it wrote is somewhere.
  [[nodiscard]] bool Ran() const {
    return Pinned() != nullptr && facts_.stored.assignment.generation > Generation(0);
  }

  bool CheckCluster() {
    if (Pinned() == nullptr || Pinned()->kafka_cluster_id.empty() ||
        facts_.kafka_cluster_id.empty() || Pinned()->kafka_cluster_id == facts_.kafka_cluster_id) {
      return true;
    }
    return Refuse(ProblemReason::kOtherKafkaCluster,
                  "spec.kafka.bootstrapServers: the job was started on Kafka cluster " +
                      Pinned()->kafka_cluster_id + ", and this is " + facts_.kafka_cluster_id +
                      ": its offsets mean nothing here; name the former cluster, or start a new "
                      "job under another name");
  }

  bool CheckStores() {
    if (Pinned() == nullptr) return true;
    for (size_t i = 0; i < job_.stores.size(); ++i) {
      const StoreSpec& store = job_.stores[i];
      const auto pinned = Pinned()->stores.find(store.name);
      if (pinned == Pinned()->stores.end() || !Ran()) continue;
      const bool same_key = pinned->second.key == store.key;
      if (same_key && pinned->second.value == store.value) continue;
      const SerdeType was = same_key ? pinned->second.value : pinned->second.key;
      const SerdeType is = same_key ? store.value : store.key;
      return Refuse(ProblemReason::kChangelogUnusable,
                    "spec.stores[" + std::to_string(i) + "]." + (same_key ? "value" : "key") +
                        ": found " + std::string(SerdeName(is)) + ", but store " +
                        Quoted(store.name) + " holds " + std::string(SerdeName(was)) +
                        "; set it back, or give the store another name");
    }
    return true;
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
      if (const std::string& id = pinned->second.topic_id; !COHO_MUTANT("input-id-not-compared") &&
                                                           !id.empty() && !found->id.empty() &&
                                                           id != found->id) {
        return Refuse(ProblemReason::kInputRecreated,
                      Path("inputs", i) + ": topic " + Quoted(topic) +
                          " was deleted and made anew since the job was started (topic id " + id +
                          " then, " + found->id +
                          " now): the job's positions and state belong to the former; restore it, "
                          "or start a new job under another name");
      }
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
    TopicIds ids{.kafka_cluster_id = facts_.kafka_cluster_id};
    for (const auto& [name, topic] : facts_.topics) ids.topics[name] = topic.id;
    plan_.model = MakeJobModel(job_, counts_, ids);
    // Where the positions are, there they stay, whatever stores come and go.
    if (Pinned() != nullptr && !Pinned()->positions_topic.empty()) {
      plan_.model.positions_topic = Pinned()->positions_topic;
      plan_.model.positions_topic_id = ids.topics[Pinned()->positions_topic];
    }
    RememberRemovedStores();
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

  // What a store holds that is taken out of the spec, or loses its changelog, stays in that topic,
  // and falls behind: the model keeps the topic's id, without the topic.
  void RememberRemovedStores() {
    if (!Ran()) return;
    for (const auto& [name, store] : Pinned()->stores) {
      StoreModel removed = store;
      removed.changelog.clear();
      if (removed.topic_id.empty() && !store.changelog.empty()) removed.topic_id = kUnknownId;
      if (removed.topic_id.empty()) continue;
      const auto [now, fresh] = plan_.model.stores.try_emplace(name, removed);
      // Also of one that is there, but has no changelog now.
      if (!fresh && now->second.changelog.empty()) now->second.topic_id = removed.topic_id;
    }
  }

  // A store that comes back would go on with what it held when it was taken out.
  bool CheckNotBehind(const std::string& store, const StoreModel& wanted) {
    if (!Ran() || AdoptsLeftovers(job_)) return true;
    const auto before = Pinned()->stores.find(store);
    const kafka::TopicInfo* found = Find(wanted.changelog);
    if (before == Pinned()->stores.end() || !before->second.changelog.empty() || found == nullptr)
      return true;
    const std::string& id = before->second.topic_id;
    if (id.empty() || (id != kUnknownId && !found->id.empty() && id != found->id)) return true;
    const std::string empty_store =
        Pinned()->positions_topic == wanted.changelog
            ? "The job's positions lie in that topic, too: do not delete it. Set "
            : "Delete the topic, and what lies below stores/" + store +
                  " in the workers' state directories, to begin with an empty store; set ";
    return Refuse(ProblemReason::kLeftoverTopics,
                  "spec.stores: store " + Quoted(store) +
                      " was taken out of this job before, or had no changelog, and its changelog "
                      "topic " +
                      Quoted(wanted.changelog) + " has missed every record since. " + empty_store +
                      "spec.state.onLeftover: Adopt to go on with what it had; or give the store "
                      "another name");
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

  // An existing topic of ours with other partitions, or one from which Kafka deletes what is still
  // needed.
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

  // State of a job that has run is never begun anew behind its back: positions would be kept, and
  // what they stand for be gone.
  bool CheckStillThere(const std::string& what, const std::string& topic, const std::string& id) {
    if (!Ran() || COHO_MUTANT("vanished-changelog-made-anew")) return true;
    const kafka::TopicInfo* found = Find(topic);
    if (found != nullptr && (id.empty() || found->id.empty() || id == found->id)) return true;
    return Refuse(ProblemReason::kChangelogVanished,
                  what + " " + Quoted(topic) +
                      (found == nullptr ? " does not exist any more"
                                        : " was deleted and made anew (topic id " + id + " then, " +
                                              found->id + " now)") +
                      ", but the job has processed records into it; restore the topic, or begin "
                      "anew under another spec.kafka.topicPrefix");
  }

  [[nodiscard]] std::map<std::string, std::string> Durable(
      std::map<std::string, std::string> config) const {
    // An acknowledged commit that a lone leader loses would leave stores ahead of it.
    if (job_.kafka.replication_factor >= 3) config["min.insync.replicas"] = "2";
    return config;
  }
  [[nodiscard]] std::map<std::string, std::string> Changelog() const {
    return Durable({{"cleanup.policy", "compact"},
                    {"min.compaction.lag.ms", "0"},
                    // Deletes stay known for a week: a store that is not older need not be wiped.
                    {"delete.retention.ms", "604800000"},
                    // What is not compacted has to be replayed: the active segment, and a fifth.
                    {"segment.bytes", "67108864"},
                    {"min.cleanable.dirty.ratio", "0.2"}});
  }

  bool PlanChangelogs() {
    for (const auto& [store, pinned] : plan_.model.stores) {
      if (pinned.changelog.empty()) continue;
      const std::string what = "store " + Quoted(store) + ": changelog topic";
      if (Pinned() != nullptr) {
        const auto before = Pinned()->stores.find(store);
        if (before != Pinned()->stores.end() && before->second.changelog == pinned.changelog &&
            !CheckStillThere(what, pinned.changelog, before->second.topic_id)) {
          return false;
        }
      }
      if (!CheckNotBehind(store, pinned)) return false;
      if (!CheckCompacted(what, pinned.changelog, plan_.model.tasks)) return false;
      Create(pinned.changelog, plan_.model.tasks, Changelog());
    }
    return true;
  }

  bool PlanPositions() {
    const std::string& topic = plan_.model.positions_topic;
    if (topic.empty()) return true;
    if (Pinned() != nullptr && Pinned()->positions_topic == topic &&
        !CheckStillThere("positions topic", topic, Pinned()->positions_topic_id)) {
      return false;
    }
    if (!CheckCompacted("positions topic", topic, plan_.model.tasks)) return false;
    const bool planned = std::any_of(plan_.create.begin(), plan_.create.end(),
                                     [&](const auto& create) { return create.name == topic; });
    if (!planned) Create(topic, plan_.model.tasks, Changelog());
    return true;
  }

  bool PlanHeartbeats() {
    const std::string topic = job_.HeartbeatsTopic();
    if (const kafka::TopicInfo* found = Find(topic); found != nullptr && found->partitions != 1) {
      return Refuse(ProblemReason::kChangelogUnusable,
                    "heartbeats topic " + Quoted(topic) + " has " + Partitions(found->partitions) +
                        ", and only the first is read: delete it, and Coho "
                        "makes it anew");
    }
    const auto config = facts_.configs.find(topic);
    if (config != facts_.configs.end()) {
      const auto policy = config->second.find("cleanup.policy");
      if (policy != config->second.end() && policy->second.find("delete") == std::string::npos) {
        Warn(ProblemReason::kChangelogUnusable, "heartbeats topic " + Quoted(topic) +
                                                    " has cleanup.policy=" + policy->second +
                                                    ", need delete: it grows without end");
      }
    }
    // Times of the broker: those of the workers' own clocks could not be compared.
    Create(topic, 1,
           {{"cleanup.policy", "delete"},
            {"retention.ms", "600000"},
            {"segment.ms", "60000"},
            {"max.message.bytes", std::to_string(kRecordBytesMax)},
            {"message.timestamp.type", "LogAppendTime"}});
    return true;
  }

  bool PlanOwn() {
    if (!CheckCompacted("coordinator topic", job_.CoordinatorTopic(), 1)) return false;
    // Who sleeps for an hour still sees what was deleted meanwhile, and whose claims there were. It
    // is read whole at each start, and only full segments are compacted.
    Create(job_.CoordinatorTopic(), 1,
           Durable({{"cleanup.policy", "compact"},
                    {"min.compaction.lag.ms", "3600000"},
                    {"delete.retention.ms", "604800000"},
                    {"segment.bytes", std::to_string(2 * kRecordBytesMax)},
                    {"max.message.bytes", std::to_string(kRecordBytesMax)}}));
    return PlanHeartbeats() && PlanChangelogs() && PlanPositions();
  }

  const Job& job_;
  const TopicFacts& facts_;
  std::map<std::string, int32_t> counts_;
  TopicPlan plan_;
};

}  // namespace

std::vector<std::string> OwnTopicsOf(const Job& job, const CoordinatorState& stored) {
  std::set<std::string> topics = {job.CoordinatorTopic(), job.HeartbeatsTopic()};
  bool changelogs = false;
  for (const StoreSpec& store : job.stores) {
    if (!store.changelog) continue;
    topics.insert(job.ChangelogTopic(store.name));
    changelogs = true;
  }
  if (!changelogs) topics.insert(job.kafka.topic_prefix + "-positions");
  if (stored.model && !stored.model->positions_topic.empty())
    topics.insert(stored.model->positions_topic);
  return {topics.begin(), topics.end()};
}

std::vector<std::string> LeftoversOf(const Job& job, const TopicFacts& facts) {
  std::vector<std::string> left;
  const bool begun = facts.topics.contains(job.CoordinatorTopic());
  for (std::string& topic : OwnTopicsOf(job)) {
    if (!facts.topics.contains(topic) || topic == job.CoordinatorTopic()) continue;
    // Workers send heartbeats as soon as there is a coordinator topic, and a broker may make the
    // topic for them.
    if (begun && topic == job.HeartbeatsTopic()) continue;
    left.push_back(std::move(topic));
  }
  return left;
}

bool AdoptsLeftovers(const Job& job) { return job.state.on_leftover == OnLeftover::kAdopt; }

JobProblem ProblemOfLeftovers(const Job& job, const std::vector<std::string>& topics,
                              bool unclaimed) {
  std::string names;
  for (const std::string& topic : topics) names += (names.empty() ? "" : ", ") + Quoted(topic);
  return {
      ProblemReason::kLeftoverTopics,
      "coordinator topic " + Quoted(job.CoordinatorTopic()) +
          (unclaimed ? " does not say whose it is, but " : " does not exist, but ") + names +
          (topics.size() == 1 ? (unclaimed ? " exists" : " does")
                              : (unclaimed ? " exist" : " do")) +
          ": an earlier life of this job left state behind. Set spec.state.onLeftover: Adopt to "
          "go on with it, delete the topics to begin anew, or set another "
          "spec.kafka.topicPrefix",
      true};
}

std::vector<std::string> TopicsOf(const Job& job, const CoordinatorState& stored) {
  std::set<std::string> topics;
  for (const InputSpec& input : job.inputs) topics.insert(input.topic);
  for (const OutputSpec& output : job.outputs) topics.insert(output.topic);
  if (job.processing.on_error == OnError::kDeadLetter)
    topics.insert(job.processing.dead_letter_topic);
  for (std::string& topic : OwnTopicsOf(job, stored)) topics.insert(std::move(topic));
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
