#include "common/model/job_validate.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <string>

namespace coho {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

Status Wrong(std::string_view path, std::string_view found, std::string_view need) {
  std::string shown(found.substr(0, 80));
  if (found.size() > 80) shown += "...";
  return InvalidArgument(std::string(path) + ": found \"" + shown + "\", need " +
                         std::string(need));
}

// DNS label, as Kubernetes names most of its objects.
bool IsLabel(std::string_view text, size_t longest) {
  const auto inner = [](char c) { return IsLower(c) || IsDigit(c) || c == '-'; };
  return !text.empty() && text.size() <= longest && std::all_of(text.begin(), text.end(), inner) &&
         text.front() != '-' && text.back() != '-';
}

Status CheckLabel(std::string_view path, std::string_view text, size_t longest) {
  if (IsLabel(text, longest)) return Status::Ok();
  return Wrong(path, text,
               "1 to " + std::to_string(longest) +
                   " characters of a-z, 0-9 and -, with a letter or digit at both ends");
}

constexpr size_t kLongestTopic = 249;

Status CheckTopic(std::string_view path, std::string_view topic) {
  const auto legal = [](char c) {
    return IsLower(c) || IsUpper(c) || IsDigit(c) || c == '.' || c == '_' || c == '-';
  };
  if (!topic.empty() && topic.size() <= kLongestTopic && topic != "." && topic != ".." &&
      std::all_of(topic.begin(), topic.end(), legal)) {
    return Status::Ok();
  }
  return Wrong(path, topic,
               "a Kafka topic name: 1 to 249 characters of a-z, A-Z, 0-9, '.', '_' and '-'");
}

Status CheckServers(std::string_view servers) {
  constexpr std::string_view kPath = "spec.kafka.bootstrapServers";
  constexpr std::string_view kNeed = "host:port, several with commas between them";
  std::string_view rest = servers;
  while (true) {
    const size_t comma = rest.find(',');
    const std::string_view server = rest.substr(0, comma);
    const size_t colon = server.rfind(':');
    if (server.empty() || colon == 0 || colon == std::string_view::npos ||
        server.find_first_of(" \t\r\n") != std::string_view::npos) {
      return Wrong(kPath, servers, kNeed);
    }
    int port = 0;
    const std::string_view digits = server.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc() || end != digits.data() + digits.size() || port < 1 || port > 65535) {
      return Wrong(kPath, servers, kNeed);
    }
    if (comma == std::string_view::npos) return Status::Ok();
    rest.remove_prefix(comma + 1);
  }
}

// Properties on which correctness or the memory budget rests, or that run code.
constexpr std::array<std::string_view, 25> kDecidedByCoho = {
    "acks",
    "allow.auto.create.topics",
    "auto.commit.enable",
    "auto.commit.interval.ms",
    "auto.offset.reset",
    "bootstrap.servers",
    "client.id",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "isolation.level",
    "log_level",
    "metadata.broker.list",
    "partition.assignment.strategy",
    "partitioner",
    "plugin.library.paths",
    "queue.buffering.max.kbytes",
    "queued.max.messages.kbytes",
    "request.required.acks",
    "transactional.id",
};

bool LooksSecret(std::string_view name) {
  constexpr std::array<std::string_view, 7> kParts = {
      "password",    "secret",           "passphrase",        "private.key.pem",
      "ssl.key.pem", "sasl.jaas.config", "oauthbearer.config"};
  return std::any_of(kParts.begin(), kParts.end(), [&](std::string_view part) {
    return name.find(part) != std::string_view::npos;
  });
}

Status CheckProperties(const KafkaSpec& kafka) {
  for (const auto& [name, value] : kafka.properties) {
    const std::string path = "spec.kafka.properties." + name;
    if (LooksSecret(name)) {  // the value must appear nowhere
      return InvalidArgument(
          path +
          ": a secret must not stand here; put it into a Secret whose key is the property's name "
          "and name that Secret in spec.kafka.secretRef.name");
    }
    if (std::find(kDecidedByCoho.begin(), kDecidedByCoho.end(), name) != kDecidedByCoho.end()) {
      return InvalidArgument(path + ": Coho decides this property by itself; remove it");
    }
  }
  return Status::Ok();
}

Status CheckKafka(const Job& job) {
  COHO_RETURN_IF_ERROR(CheckServers(job.kafka.bootstrap_servers));
  COHO_RETURN_IF_ERROR(CheckProperties(job.kafka));
  COHO_RETURN_IF_ERROR(CheckTopic("spec.kafka.topicPrefix", job.kafka.topic_prefix));
  const std::array<std::string, 2> derived = {job.CoordinatorTopic(), job.HeartbeatsTopic()};
  for (const std::string& topic : derived) {
    if (topic.size() > kLongestTopic) {
      return Wrong("spec.kafka.topicPrefix", job.kafka.topic_prefix,
                   "a shorter prefix: " + topic + " would have more than 249 characters");
    }
  }
  if (job.kafka.replication_factor == 0) {
    return InvalidArgument(
        "spec.kafka.replicationFactor: found 0, need a number from 1, or -1 for the broker's "
        "default");
  }
  return Status::Ok();
}

std::string At(std::string_view list, size_t i, std::string_view field) {
  return "spec." + std::string(list) + "[" + std::to_string(i) + "]." + std::string(field);
}

Status CheckStreams(const Job& job) {
  if (job.inputs.empty())
    return InvalidArgument("spec.inputs: found none, need at least one input");
  std::set<std::string> inputs;
  for (size_t i = 0; i < job.inputs.size(); ++i) {
    const std::string& topic = job.inputs[i].topic;
    COHO_RETURN_IF_ERROR(CheckTopic(At("inputs", i, "topic"), topic));
    if (!inputs.insert(topic).second) {
      return Wrong(At("inputs", i, "topic"), topic, "each topic in one input only");
    }
  }
  std::set<std::string> outputs;
  for (size_t i = 0; i < job.outputs.size(); ++i) {
    const std::string& topic = job.outputs[i].topic;
    COHO_RETURN_IF_ERROR(CheckTopic(At("outputs", i, "topic"), topic));
    if (!outputs.insert(topic).second) {
      return Wrong(At("outputs", i, "topic"), topic, "each topic in one output only");
    }
  }
  return Status::Ok();
}

Status CheckStores(const Job& job) {
  std::set<std::string> names;
  for (size_t i = 0; i < job.stores.size(); ++i) {
    const std::string path = At("stores", i, "name");
    const std::string& name = job.stores[i].name;
    COHO_RETURN_IF_ERROR(CheckLabel(path, name, 63));
    if (!names.insert(name).second) return Wrong(path, name, "a name that no other store has");
    if (job.stores[i].changelog && job.ChangelogTopic(name).size() > kLongestTopic) {
      return Wrong(path, name,
                   "a shorter name, or a shorter spec.kafka.topicPrefix: " +
                       job.ChangelogTopic(name) + " would have more than 249 characters");
    }
  }
  return Status::Ok();
}

struct TimeLimit {
  std::string_view path;
  Duration found;
  Duration min;
  Duration max;
  bool or_zero = false;
};

// Where no patience at all would take something away from who is merely late.
Status CheckPatience(const Job& job) {
  const FailoverSpec& failover = job.failover;
  if (job.processing.guarantee == Guarantee::kAtLeastOnce &&
      failover.homecoming_timeout < failover.session_timeout) {
    return Wrong("spec.failover.homecomingTimeout", FormatDuration(failover.homecoming_timeout),
                 "at least spec.failover.sessionTimeout (" +
                     FormatDuration(failover.session_timeout) +
                     ") with AtLeastOnce: a worker that cannot be fenced has to be waited out");
  }
  constexpr Duration kLeastForReplace = seconds(10);
  if (failover.lost_node_policy == LostNodePolicy::kReplace &&
      failover.lost_node_timeout < kLeastForReplace) {
    return Wrong("spec.failover.lostNode.timeout", FormatDuration(failover.lost_node_timeout),
                 "at least " + FormatDuration(kLeastForReplace) +
                     " with policy Replace: the volume of a node that is away for a moment would "
                     "be given up");
  }
  return Status::Ok();
}

Status CheckTimes(const Job& job) {
  const TimeLimit limits[] = {
      {"spec.processing.commitInterval", job.processing.commit_interval, milliseconds(1),
       minutes(5)},
      {"spec.processing.windowInterval", job.processing.window_interval, milliseconds(1), hours(24),
       true},
      {"spec.storage.flushInterval", job.storage.flush_interval, milliseconds(1), hours(24)},
      {"spec.failover.heartbeatInterval", job.failover.heartbeat_interval, milliseconds(10),
       hours(1)},
      {"spec.failover.sessionTimeout", job.failover.session_timeout, milliseconds(30), hours(24)},
      {"spec.failover.homecomingTimeout", job.failover.homecoming_timeout, Duration::zero(),
       hours(24 * 365)},
      {"spec.failover.lostNode.timeout", job.failover.lost_node_timeout, Duration::zero(),
       hours(24 * 365)},
  };
  for (const TimeLimit& limit : limits) {
    if ((limit.or_zero && limit.found == Duration::zero()) ||
        (limit.found >= limit.min && limit.found <= limit.max)) {
      continue;
    }
    return Wrong(limit.path, FormatDuration(limit.found),
                 std::string(limit.or_zero ? "0s (never) or " : "") + "a duration from " +
                     FormatDuration(limit.min) + " to " + FormatDuration(limit.max));
  }
  const Duration least = 3 * job.failover.heartbeat_interval;
  if (job.failover.session_timeout < least) {
    return Wrong("spec.failover.sessionTimeout", FormatDuration(job.failover.session_timeout),
                 "at least three times spec.failover.heartbeatInterval: " + FormatDuration(least));
  }
  return CheckPatience(job);
}

Status CheckDeadLetter(const Job& job) {
  constexpr std::string_view kPath = "spec.processing.deadLetterTopic";
  const std::string& topic = job.processing.dead_letter_topic;
  COHO_RETURN_IF_ERROR(CheckTopic(kPath, topic));
  for (const InputSpec& input : job.inputs) {
    if (input.topic == topic)
      return Wrong(kPath, topic,
                   "a topic that the job does not read: a bad record would come back");
  }
  return Status::Ok();
}

// A number with one of Kubernetes' suffixes.
Status CheckSize(std::string_view size) {
  const size_t digits = std::min(size.find_first_not_of("0123456789."), size.size());
  const std::string_view suffix = size.substr(digits);
  const std::string_view number = size.substr(0, digits);
  constexpr std::array<std::string_view, 14> kSuffixes = {"",   "k",  "M",  "G",  "T",  "P",  "E",
                                                          "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "m"};
  const bool is_number = !number.empty() && IsDigit(number.front()) &&
                         std::count(number.begin(), number.end(), '.') <= 1 &&
                         number.find_first_not_of("0.") != std::string_view::npos;
  if (is_number && std::find(kSuffixes.begin(), kSuffixes.end(), suffix) != kSuffixes.end())
    return Status::Ok();
  return Wrong("spec.storage.size", size, "a quantity such as 500Mi or 10Gi");
}

}  // namespace

Status ValidateJob(const Job& job) {
  COHO_RETURN_IF_ERROR(CheckLabel("metadata.name", job.id.name, kMaxJobName));
  COHO_RETURN_IF_ERROR(CheckLabel("metadata.namespace", job.id.ns, 63));
  if (job.task.name.empty()) {
    return Wrong("spec.task.name", "",
                 "the name under which the task is registered, such as count");
  }
  COHO_RETURN_IF_ERROR(CheckKafka(job));
  COHO_RETURN_IF_ERROR(CheckStreams(job));
  COHO_RETURN_IF_ERROR(CheckStores(job));
  COHO_RETURN_IF_ERROR(CheckTimes(job));
  COHO_RETURN_IF_ERROR(CheckDeadLetter(job));
  return CheckSize(job.storage.size);
}

}  // namespace coho
