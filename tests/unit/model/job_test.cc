#include "common/model/job.h"

#include <doctest/doctest.h>

#include <string>

#include "tests/unit/model/random_values.h"

namespace coho {
namespace {

// A job with the lines of `spec` after the four required fields; a later line of the same name
// replaces the earlier one.
std::string YamlJob(const std::string& spec = "", const std::string& metadata = "name: visits") {
  std::string yaml =
      "apiVersion: coho.dev/v1alpha1\nkind: StreamJob\nmetadata: {" + metadata + "}\nspec:\n";
  const std::pair<const char*, const char*> required[] = {
      {"task", "{name: count}"},
      {"kafka", "{bootstrapServers: \"kafka:9092\"}"},
      {"inputs", "[{topic: requests}]"}};
  for (const auto& [name, value] : required) {
    if (spec.find(std::string(name) + ":") != 0)
      yaml += "  " + std::string(name) + ": " + value + "\n";
  }
  return yaml + "  " + spec + "\n";
}

TEST_CASE("Job: four fields are enough, the rest has defaults") {
  const auto job = ParseJobYaml(YamlJob());
  REQUIRE_MESSAGE(job.ok(), job.status().ToString());
  Job expected;
  expected.id = {"default", "visits"};
  expected.task.name = "count";
  expected.kafka.bootstrap_servers = "kafka:9092";
  expected.kafka.topic_prefix = "coho-default.visits";
  expected.inputs = {{.topic = "requests"}};
  expected.processing.dead_letter_topic = "coho-default.visits-dead-letter";
  CHECK(*job == expected);
}

TEST_CASE("Job: reads every field") {
  const auto job = ParseJobYaml(R"(
# as its user writes it
apiVersion: coho.dev/v1alpha1
kind: StreamJob
metadata:
  name: visits
  namespace: web
  labels: {app: visits}
status: {anything: [1]}
spec:
  image: coho-worker:dev
  task: {name: count, config: {store: visits, limit: 5, ratio: 1.5, strict: true, nothing: "", mode: no}}
  kafka:
    bootstrapServers: "a:9092,b:9092"
    properties: {security.protocol: SASL_SSL, linger.ms: 20}
    secretRef: {name: kafka-credentials}
    topicPrefix: web-visits
    replicationFactor: 3
  inputs:
    - {topic: requests-by-client, key: string, value: bytes, startFrom: Latest}
    - topic: clicks
      value: json
  outputs:  [{topic: visits, key: string, value: int64, partitions: 8}]
  stores:   [{name: visits, key: string, value: int64, changelog: false}]
  workers:  {count: 3, runLoops: 2, resources: {limits: {cpu: 1}}, template: {spec: {}}}
  processing: {guarantee: AtLeastOnce, commitInterval: 1s, windowInterval: 1m30s, onError: DeadLetter, deadLetterTopic: dead}
  storage:  {flushInterval: 5s, size: 10Gi, storageClassName: local, retention: {whenScaled: Retain, whenDeleted: Delete}}
  failover: {heartbeatInterval: 500ms, sessionTimeout: 3s, homecomingTimeout: 1m, lostNode: {policy: Replace, timeout: 10s}}
  state: {onLeftover: Adopt}
)");
  REQUIRE_MESSAGE(job.ok(), job.status().ToString());
  CHECK(job->id.ToString() == "web.visits");
  CHECK(job->task.config == std::map<std::string, std::string>{{"store", "visits"},
                                                               {"limit", "5"},
                                                               {"ratio", "1.5"},
                                                               {"strict", "true"},
                                                               {"nothing", ""},
                                                               {"mode", "no"}});
  CHECK(job->kafka.properties.at("linger.ms") == "20");
  CHECK(job->kafka.secret_name == "kafka-credentials");
  CHECK(job->kafka.replication_factor == 3);
  REQUIRE(job->inputs.size() == 2);
  CHECK(job->inputs[0].key == SerdeType::kString);
  CHECK(job->inputs[0].start_from == StartFrom::kLatest);
  CHECK(job->inputs[1].value == SerdeType::kJson);
  CHECK(job->outputs.at(0).partitions == 8);
  CHECK_FALSE(job->stores.at(0).changelog);
  CHECK(job->workers == WorkersSpec{3, 2});
  CHECK(job->processing.guarantee == Guarantee::kAtLeastOnce);
  CHECK(job->processing.window_interval == std::chrono::seconds(90));
  CHECK(job->processing.on_error == OnError::kDeadLetter);
  CHECK(job->storage.storage_class_name == "local");
  CHECK_FALSE(job->storage.delete_when_scaled);
  CHECK(job->storage.delete_when_deleted);
  CHECK(job->failover.lost_node_policy == LostNodePolicy::kReplace);
  CHECK(job->state.on_leftover == OnLeftover::kAdopt);
  CHECK(job->TransactionalId(WorkerId(1), 0) == "web-visits-worker-1-loop-0");
}

struct BadJob {
  const char* row;
  const char* spec;
  const char* message;
};

TEST_CASE("Job: what cannot work is refused, naming field, found value and what to do") {
  const BadJob rows[] = {
      {"unknown field", "worker: {count: 3}",
       "spec.worker: unknown field, known are failover, image, inputs, kafka, outputs, processing, "
       "state, storage, stores, task, workers"},
      {"unknown inner field", "workers: {counts: 3}",
       "spec.workers.counts: unknown field, known are count, resources, runLoops, template"},
      {"no task name", "task: {}",
       "spec.task.name: found nothing, need the name under which the task is registered, such as "
       "count"},
      {"empty task name", "task: {name: ''}",
       "spec.task.name: found \"\", need the name under which the task is registered, such as "
       "count"},
      {"config is nested", "task: {name: count, config: {a: [1]}}",
       "spec.task.config.a: found [1], need a string, number or boolean"},
      {"no servers", "kafka: {}",
       "spec.kafka.bootstrapServers: found nothing, need the brokers' addresses, such as "
       "kafka:9092"},
      {"no port", "kafka: {bootstrapServers: kafka}",
       "spec.kafka.bootstrapServers: found \"kafka\", need host:port, several with commas between "
       "them"},
      {"bad port", "kafka: {bootstrapServers: 'a:1,b:x'}",
       "spec.kafka.bootstrapServers: found \"a:1,b:x\", need host:port, several with commas "
       "between them"},
      {"a secret", "kafka: {bootstrapServers: 'a:1', properties: {sasl.password: hunter2}}",
       "spec.kafka.properties.sasl.password: a secret must not stand here; put it into a Secret "
       "whose key is the property's name and name that Secret in "
       "spec.kafka.secretRef.name"},
      {"a secret key", "kafka: {bootstrapServers: 'a:1', properties: {ssl.key.pem: x}}",
       "spec.kafka.properties.ssl.key.pem: a secret must not stand here; put it into a Secret "
       "whose key is the property's name and name that Secret in "
       "spec.kafka.secretRef.name"},
      {"Coho's property",
       "kafka: {bootstrapServers: 'a:1', properties: {isolation.level: read_uncommitted}}",
       "spec.kafka.properties.isolation.level: Coho decides this property by itself; remove it"},
      {"replication", "kafka: {bootstrapServers: 'a:1', replicationFactor: 0}",
       "spec.kafka.replicationFactor: found 0, need a number from 1, or -1 for the broker's "
       "default"},
      {"prefix", "kafka: {bootstrapServers: 'a:1', topicPrefix: 'a b'}",
       "spec.kafka.topicPrefix: found \"a b\", need a Kafka topic name: 1 to 249 characters of "
       "a-z, A-Z, 0-9, '.', '_' and '-'"},
      {"no inputs", "inputs: []", "spec.inputs: found none, need at least one input"},
      {"inputs is no list", "inputs: {topic: a}",
       "spec.inputs: found {\"topic\":\"a\"}, need a list"},
      {"input is no object", "inputs: [requests]",
       "spec.inputs[0]: found \"requests\", need an object"},
      {"same input twice", "inputs: [{topic: a}, {topic: b}, {topic: a}]",
       "spec.inputs[2].topic: found \"a\", need each topic in one input only"},
      {"topic name", "inputs: [{topic: 'a/b'}]",
       "spec.inputs[0].topic: found \"a/b\", need a Kafka topic name: 1 to 249 characters of a-z, "
       "A-Z, 0-9, '.', '_' and '-'"},
      {"unknown serde", "inputs: [{topic: a, key: avro}]",
       "spec.inputs[0].key: found \"avro\", need one of bytes, string, int64, json"},
      {"start from", "inputs: [{topic: a, startFrom: earliest}]",
       "spec.inputs[0].startFrom: found \"earliest\", need one of Earliest, Latest"},
      {"same output twice", "outputs: [{topic: a}, {topic: a}]",
       "spec.outputs[1].topic: found \"a\", need each topic in one output only"},
      {"partitions", "outputs: [{topic: a, partitions: -1}]",
       "spec.outputs[0].partitions: found -1, need a whole number from 0 to 100000"},
      {"same store twice", "stores: [{name: a}, {name: a}]",
       "spec.stores[1].name: found \"a\", need a name that no other store has"},
      {"store name", "stores: [{name: My_Store}]",
       "spec.stores[0].name: found \"My_Store\", need 1 to 63 characters of a-z, 0-9 and -, with a "
       "letter or digit at both ends"},
      {"changelog", "stores: [{name: a, changelog: no}]",
       "spec.stores[0].changelog: found \"no\", need true or false"},
      {"no workers", "workers: {count: 0}",
       "spec.workers.count: found 0, need a whole number from 1 to 1000"},
      {"half a worker", "workers: {count: 1.5}",
       "spec.workers.count: found 1.5, need a whole number from 1 to 1000"},
      {"huge count", "workers: {count: 18446744073709551615}",
       "spec.workers.count: found 18446744073709551615, need a whole number from 1 to 1000"},
      {"octal-looking", "workers: {count: 0123}",
       "spec.workers.count: found \"0123\", need a whole number from 1 to 1000"},
      {"run loops", "workers: {runLoops: 65}",
       "spec.workers.runLoops: found 65, need a whole number from 1 to 64"},
      {"guarantee", "processing: {guarantee: exactly-once}",
       "spec.processing.guarantee: found \"exactly-once\", need one of ExactlyOnce, AtLeastOnce"},
      {"duration without unit", "processing: {commitInterval: '100'}",
       "spec.processing.commitInterval: found \"100\", need a duration such as 100ms, 5s or 1m30s"},
      {"duration as number", "processing: {commitInterval: 100}",
       "spec.processing.commitInterval: found 100, need a duration such as 100ms, 5s or 1m30s"},
      {"commit too often", "processing: {commitInterval: 0s}",
       "spec.processing.commitInterval: found \"0s\", need a duration from 1ms to 5m"},
      {"commit too rarely", "processing: {commitInterval: 6m}",
       "spec.processing.commitInterval: found \"6m\", need a duration from 1ms to 5m"},
      {"window", "processing: {windowInterval: 25h}",
       "spec.processing.windowInterval: found \"25h\", need 0s (never) or a duration from 1ms to "
       "24h"},
      {"dead letters come back", "processing: {deadLetterTopic: requests}",
       "spec.processing.deadLetterTopic: found \"requests\", need a topic that the job does not "
       "read: a bad record would come back"},
      {"size", "storage: {size: 10Gb}",
       "spec.storage.size: found \"10Gb\", need a quantity such as 500Mi or 10Gi"},
      {"retention", "storage: {retention: {whenScaled: Keep}}",
       "spec.storage.retention.whenScaled: found \"Keep\", need one of Delete, Retain"},
      {"session", "failover: {heartbeatInterval: 3s}",
       "spec.failover.sessionTimeout: found \"6s\", need at least three times "
       "spec.failover.heartbeatInterval: 9s"},
      {"nobody fences, nobody waits",
       "processing: {guarantee: AtLeastOnce}\n  failover: {homecomingTimeout: 0s}",
       "spec.failover.homecomingTimeout: found \"0s\", need at least spec.failover.sessionTimeout "
       "(6s) with AtLeastOnce: a worker that cannot be fenced has to be waited out"},
      {"a volume given up in a moment", "failover: {lostNode: {policy: Replace, timeout: 0s}}",
       "spec.failover.lostNode.timeout: found \"0s\", need at least 10s with policy Replace: the "
       "volume of a node that is away for a moment would be given up"},
      {"leftovers", "state: {onLeftover: Wipe}",
       "spec.state.onLeftover: found \"Wipe\", need one of Refuse, Adopt"},
      {"lost node", "failover: {lostNode: {policy: Move}}",
       "spec.failover.lostNode.policy: found \"Move\", need one of Wait, Replace"},
      {"empty spec field", "kafka:",
       "spec.kafka: found null, need how to reach Kafka, such as {bootstrapServers: "
       "\"kafka:9092\"}"},
  };
  for (const BadJob& bad : rows) {
    CAPTURE(bad.row);
    const auto job = ParseJobYaml(YamlJob(bad.spec));
    REQUIRE_FALSE(job.ok());
    CHECK(job.status().code() == Code::kInvalidArgument);
    CHECK(job.status().message() == bad.message);
  }
}

TEST_CASE("Job: a secret in the wrong place is never repeated in the message") {
  for (const char* spec :
       {"kafka: {bootstrapServers: 'a:1', properties: {sasl.password: hunter2}}",
        "kafka: {bootstrapServers: 'a:1', password: hunter2}", "password: hunter2",
        "kafka: {bootstrapServers: 'a:1', properties: {sasl.password: hunter2"}) {
    const auto job = ParseJobYaml(YamlJob(spec));
    REQUIRE_FALSE(job.ok());
    CHECK(job.status().message().find("hunter2") == std::string::npos);
  }
  const auto json = ParseJobJson(R"({"spec":{"kafka":{"password":"hunter2" "x"}}})");
  REQUIRE_FALSE(json.ok());
  CHECK(json.status().message() ==
        "the job is not valid JSON: syntax error near line 1, column 42");
}

TEST_CASE("Job: a document that is no job says so") {
  const std::pair<std::string, std::string> rows[] = {
      {"", "the job: found nothing, need an object"},
      {"# only a comment\n", "the job: found nothing, need an object"},
      {"just text", "the job: found \"just text\", need an object"},
      {"[1, 2]", "the job: found [1,2], need an object"},
      {"kind: StreamJob", "apiVersion: found nothing, need coho.dev/v1alpha1"},
      {"apiVersion: coho.dev/v1alpha1\nkind: Job", "kind: found \"Job\", need StreamJob"},
      {"apiVersion: coho.dev/v1alpha1\nkind: StreamJob",
       "metadata: found nothing, need an object with the job's name"},
      {YamlJob("", "namespace: web"), "metadata.name: found nothing, need the job's name"},
      {YamlJob("", "name: Visits"),
       "metadata.name: found \"Visits\", need 1 to 40 characters of a-z, 0-9 and -, with a letter "
       "or digit at both ends"},
      {YamlJob("", "name: a, namespace: 'x.y'"),
       "metadata.namespace: found \"x.y\", need 1 to 63 characters of a-z, 0-9 and -, with a "
       "letter or digit at both ends"},
      {"apiVersion: coho.dev/v1alpha1\nkind: StreamJob\nmetadata: {name: a}",
       "spec: found nothing, need an object"},
      {YamlJob() + "---\n" + YamlJob(), "the job: found more than one YAML document, need one"},
      {YamlJob("image: a\n  image: b"),
       "the job, line 9: the key \"image\" appears twice in one object"},
      {YamlJob("image: &x a\n  outputs: *x"),
       "the job, line 9: aliases (*name) are not supported; write the value out"},
      {YamlJob("image: !!binary aGFsbG8="), "the job, line 8: tags (!name) are not supported"},
      {YamlJob("image: [a"), "the job is not valid YAML: line 9: end of sequence flow not found"},
  };
  for (const auto& [yaml, message] : rows) {
    CAPTURE(yaml);
    const auto job = ParseJobYaml(yaml);
    REQUIRE_FALSE(job.ok());
    CHECK(job.status().message() == message);
  }
}

TEST_CASE("Job: JSON with a key twice, too large or too deep is refused") {
  CHECK(ParseJobJson(R"({"kind":"a","kind":"b"})").status().message() ==
        "the job has the key \"kind\" twice in one object");
  CHECK(ParseJobJson(std::string(2 << 20, ' ')).status().message() ==
        "the job has 2097152 bytes, at most 1048576 are allowed");
  const std::string deep(500'000, '[');
  CHECK(ParseJobJson(deep).status().message() == "the job is nested more than 64 levels deep");
  CHECK(ParseJobJson("{\"spec\":" + deep).status().message() ==
        "the job is nested more than 64 levels deep");
  CHECK_FALSE(ParseJobYaml(deep).ok());
  CHECK_FALSE(ParseJobYaml(std::string(100'000, '{')).ok());
}

TEST_CASE("Job: YAML may hold JSON, empty documents around the job, and quoted values") {
  const auto job = ParseJobYaml("---\n" + YamlJob("image: \"no\"") + "---\n");
  REQUIRE_MESSAGE(job.ok(), job.status().ToString());
  CHECK(job->image == "no");
  const auto again = ParseJobYaml(JobToJson(*job));
  REQUIRE_MESSAGE(again.ok(), again.status().ToString());
  CHECK(*again == *job);
}

TEST_CASE("Job: what is written is read back the same, from JSON and from YAML") {
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  test::Random random(seed);
  for (int i = 0; i < 500; ++i) {
    const Job job = random.MakeJob();
    const std::string json = JobToJson(job);
    CAPTURE(json);
    const auto parsed = ParseJobJson(json);
    REQUIRE_MESSAGE(parsed.ok(), parsed.status().ToString());
    REQUIRE(*parsed == job);
    REQUIRE(JobToJson(*parsed) == json);
    const auto full = ParseJobJson(JobToFullJson(job));
    REQUIRE_MESSAGE(full.ok(), full.status().ToString());
    REQUIRE(*full == job);
  }
}

TEST_CASE("Job: a file of a newer operator is run, a person's with an unknown field is refused") {
  const std::string spec =
      R"("metadata":{"name":"visits"},"spec":{"task":{"name":"count","retries":3},)"
      R"("kafka":{"bootstrapServers":"kafka:9092","tls":{"ca":"x"}},)"
      R"("inputs":[{"topic":"requests","priority":2}],"quota":{"bytes":5},"workers":{"count":3}}})";
  const std::string head = R"({"apiVersion":"coho.dev/v1alpha1","kind":"StreamJob",)";
  const auto newer = ParseJobJson(head + R"("formatVersion":1,"written":"2.0",)" + spec);
  REQUIRE_MESSAGE(newer.ok(), newer.status().ToString());
  CHECK(newer->workers.count == 3);
  CHECK(newer->inputs.at(0).topic == "requests");

  const auto person = ParseJobJson(head + spec);
  REQUIRE_FALSE(person.ok());
  CHECK(person.status().message() == "spec.task.retries: unknown field, known are config, name");
  const auto incompatible = ParseJobJson(head + R"("formatVersion":2,)" + spec);
  REQUIRE_FALSE(incompatible.ok());
  CHECK(incompatible.status().message() ==
        "formatVersion: found 2, need at most 1: the file was written by a newer version of Coho; "
        "use an image of that version or a later one");
  // A value that it does not know is no field to be passed over.
  CHECK_FALSE(ParseJobJson(
                  head + R"("formatVersion":1,"metadata":{"name":"a"},"spec":{"task":{"name":"b"},)"
                         R"("kafka":{"bootstrapServers":"k:1"},"inputs":[{"topic":"r"}],)"
                         R"("processing":{"guarantee":"AtMostOnce"}}})")
                  .ok());
}

TEST_CASE("Job: the written file holds what was set, so that a new default changes nothing") {
  const auto job = ParseJobYaml(YamlJob("processing: {commitInterval: 1s, onError: Fail}"));
  REQUIRE_MESSAGE(job.ok(), job.status().ToString());
  CHECK(JobToJson(*job) ==
        R"({"apiVersion":"coho.dev/v1alpha1","formatVersion":1,"kind":"StreamJob",)"
        R"("metadata":{"name":"visits","namespace":"default"},"spec":{)"
        R"("inputs":[{"topic":"requests"}],)"
        R"("kafka":{"bootstrapServers":"kafka:9092","topicPrefix":"coho-default.visits"},)"
        R"("processing":{"commitInterval":"1s"},"task":{"name":"count"}}})");
}

TEST_CASE("Job: no two jobs have one topic prefix") {
  CHECK(DefaultTopicPrefix({"web", "eu-visits"}) != DefaultTopicPrefix({"web-eu", "visits"}));
}

TEST_CASE("Job: damaged text never crashes a reader") {
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  test::Random random(seed);
  const auto damage = [&](std::string text) {
    for (int64_t n = random.Int(1, 8); n > 0; --n) {
      if (text.empty()) break;
      const auto at = static_cast<size_t>(random.Int(0, static_cast<int64_t>(text.size()) - 1));
      switch (random.Int(0, 3)) {
        case 0:
          text[at] = static_cast<char>(random.Int(0, 255));
          break;
        case 1:
          text.erase(at, static_cast<size_t>(random.Int(1, 20)));
          break;
        case 2:
          text.insert(at, text.substr(at, static_cast<size_t>(random.Int(1, 20))));
          break;
        default:
          text.insert(at, 1, "{}[]\",:&*!|>-\n"[random.Int(0, 13)]);
      }
    }
    return text;
  };
  for (int i = 0; i < 3000; ++i) {
    const std::string json = damage(JobToJson(random.MakeJob()));
    if (const auto job = ParseJobJson(json); !job.ok())
      REQUIRE_FALSE(job.status().message().empty());
    const std::string yaml = damage(YamlJob("workers: {count: 3}"));
    if (const auto job = ParseJobYaml(yaml); !job.ok())
      REQUIRE_FALSE(job.status().message().empty());
    std::string noise;
    for (int64_t n = random.Int(0, 100); n > 0; --n) noise += static_cast<char>(random.Int(0, 255));
    (void)ParseJobJson(noise);
    (void)ParseJobYaml(noise);
  }
}

}  // namespace
}  // namespace coho
