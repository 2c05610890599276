// Records of the coordinator topic. Copies are rows of numbers beside a table of store names,
// because one record holds all that lies on a worker's disk.
#include <algorithm>
#include <charconv>
#include <tuple>

#include "common/model/assignment.h"
#include "common/model/wire_version.h"

namespace coho {
namespace {

constexpr std::string_view kClaimKey = "claim";
constexpr std::string_view kModelKey = "model";
constexpr std::string_view kHeaderKey = "assignment";
constexpr std::string_view kWorkerPrefix = "worker/";
constexpr std::string_view kCopiesPrefix = "state/";

// Brokers take messages up to 1 MB unless told otherwise.
constexpr size_t kCopiesBytesMax = 900'000;

TopicRecord MakeRecord(std::string_view key, Json json) {
  json["v"] = kWireVersion;
  return {.key = std::string(key), .value = DumpJson(json)};
}

std::string KeyOf(std::string_view prefix, WorkerId worker) {
  return std::string(prefix) + ToString(worker);
}

Json TaskNumbers(const std::vector<TaskId>& tasks) {
  Json list = Json::array();
  for (const TaskId task : tasks) list.push_back(task.value());
  return list;
}

void ReadTasks(ObjectReader& in, std::string_view name, std::vector<TaskId>* out) {
  const Json* list = in.FindList(name);
  if (list == nullptr) return;
  for (const Json& item : *list) {
    const auto number = item.is_number_integer() ? item.get<int64_t>() : -1;
    if (number < 0 || number > INT32_MAX) return in.Refuse(name, "a list of task numbers");
    out->emplace_back(static_cast<int32_t>(number));
  }
}

Result<Claim> DecodeClaim(const Json& json) {
  Claim claim;
  Status error;
  ObjectReader in(json, "value", &error);
  in.Text("jobUid", &claim.job_uid);
  in.Text("installation", &claim.installation);
  in.Text("kubernetesClusterUid", &claim.kubernetes_cluster_uid);
  in.Text("kafkaClusterId", &claim.kafka_cluster_id);
  in.Require("transactionalId", "the transactional id of the coordinator");
  in.Text("transactionalId", &claim.transactional_id);
  in.Require("life", "the id of the topic's life");
  in.Text("life", &claim.life);
  if (!error.ok()) return error;
  return claim;
}

Result<JobModel> DecodeModel(const Json& json) {
  JobModel model;
  Status error;
  ObjectReader in(json, "value", &error);
  in.Require("tasks", "the number of tasks");
  in.Number("tasks", 1, INT32_MAX, &model.tasks);
  in.Text("kafkaClusterId", &model.kafka_cluster_id);
  in.Require("inputs", "the inputs");
  ReadObjects(in, "inputs", &error, [&](const std::string& topic, ObjectReader& input) {
    InputModel& out = model.inputs[topic];
    input.Text("topicId", &out.topic_id);
    input.Require("partitions", "the number of partitions");
    input.Number("partitions", 1, INT32_MAX, &out.partitions);
    ReadSerde(input, "key", &out.key);
    ReadSerde(input, "value", &out.value);
  });
  ReadObjects(in, "stores", &error, [&](const std::string& name, ObjectReader& store) {
    StoreModel& out = model.stores[name];
    store.Text("changelog", &out.changelog);
    store.Text("topicId", &out.topic_id);
    ReadSerde(store, "key", &out.key);
    ReadSerde(store, "value", &out.value);
  });
  in.Text("positionsTopic", &model.positions_topic);
  in.Text("positionsTopicId", &model.positions_topic_id);
  if (!error.ok()) return error;
  return model;
}

Result<WorkerAssignment> DecodeWorker(const Json& json) {
  WorkerAssignment worker;
  Status error;
  ObjectReader in(json, "value", &error);
  in.Require("generation", "a generation");
  ReadStrong(in, "generation", &worker.generation);
  ReadTasks(in, "active", &worker.active);
  ReadTasks(in, "standby", &worker.standby);
  ReadTexts(in, "transactionalIds", &worker.transactional_ids);
  in.Text("incarnation", &worker.incarnation);
  ReadTexts(in, "replaced", &worker.replaced);
  if (!error.ok()) return error;
  return worker;
}

Result<AssignmentHeader> DecodeHeader(const Json& json) {
  AssignmentHeader header;
  Status error;
  ObjectReader in(json, "value", &error);
  in.Require("generation", "a generation");
  ReadStrong(in, "generation", &header.generation);
  in.Text("reason", &header.reason);
  in.Text("life", &header.life);
  in.Number("writtenAtMs", INT64_MIN, INT64_MAX, &header.written_at_ms);
  if (!error.ok()) return error;
  return header;
}

// Row: task, store (index of names), position, bytes, marker time; or the task alone, which has no
// stores.
constexpr size_t kRowSize = 5;

Result<WorkerCopies> DecodeCopies(const Json& json) {
  WorkerCopies copies;
  std::vector<std::string> names;
  Status error;
  ObjectReader in(json, "value", &error);
  in.Text("diskId", &copies.disk_id);
  in.Text("node", &copies.node);
  in.Text("zone", &copies.zone);
  in.Text("volume", &copies.volume);
  in.Number("seenAtMs", INT64_MIN, INT64_MAX, &copies.seen_at_ms);
  ReadTexts(in, "stores", &names);
  in.Require("tasks", "a list of rows");
  const Json* rows = in.FindList("tasks");
  if (!error.ok()) return error;
  for (size_t i = 0; i < rows->size(); ++i) {
    const Json& row = (*rows)[i];
    const auto whole = [](const Json& item) { return item.is_number_integer(); };
    int64_t n[kRowSize] = {-1};
    bool good = row.is_array() && (row.size() == kRowSize || row.size() == 1) &&
                std::all_of(row.begin(), row.end(), whole);
    for (size_t k = 0; good && k < row.size(); ++k) n[k] = row[k].get<int64_t>();
    good = good && n[0] >= 0 && n[0] <= INT32_MAX &&
           (row.size() == 1 || (n[1] >= 0 && static_cast<size_t>(n[1]) < names.size()));
    if (!good) {
      return InvalidArgument("value.tasks[" + std::to_string(i) + "]: found " + ShowJson(row) +
                             ", need whole numbers: task, index into stores, position, bytes, "
                             "marker time");
    }
    TaskCopy& copy = copies.tasks[TaskId(static_cast<int32_t>(n[0]))];
    if (row.size() == kRowSize)
      copy.stores.push_back({names[static_cast<size_t>(n[1])], n[2], n[3], n[4]});
  }
  return copies;
}

Result<WorkerId> ParseWorkerKey(std::string_view key, std::string_view prefix) {
  const std::string_view digits = key.substr(prefix.size());
  int32_t id = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), id);
  if (error != std::errc() || end != digits.data() + digits.size() || id < 0) {
    return Corruption("coordinator record " + ShowJson(key) +
                      ": the key must end in a worker's number");
  }
  return WorkerId(id);
}

}  // namespace

TopicRecord EncodeClaim(const Claim& claim) {
  return MakeRecord(kClaimKey, {{"jobUid", claim.job_uid},
                                {"installation", claim.installation},
                                {"kubernetesClusterUid", claim.kubernetes_cluster_uid},
                                {"kafkaClusterId", claim.kafka_cluster_id},
                                {"transactionalId", claim.transactional_id},
                                {"life", claim.life}});
}

TopicRecord EncodeModel(const JobModel& model) {
  Json inputs = Json::object();
  for (const auto& [topic, input] : model.inputs) {
    inputs[topic] = {{"topicId", input.topic_id},
                     {"partitions", input.partitions},
                     {"key", SerdeName(input.key)},
                     {"value", SerdeName(input.value)}};
  }
  Json stores = Json::object();
  for (const auto& [name, store] : model.stores) {
    stores[name] = {{"changelog", store.changelog},
                    {"topicId", store.topic_id},
                    {"key", SerdeName(store.key)},
                    {"value", SerdeName(store.value)}};
  }
  return MakeRecord(kModelKey, {{"tasks", model.tasks},
                                {"kafkaClusterId", model.kafka_cluster_id},
                                {"inputs", inputs},
                                {"stores", stores},
                                {"positionsTopic", model.positions_topic},
                                {"positionsTopicId", model.positions_topic_id}});
}

TopicRecord EncodeCopies(WorkerId worker, const WorkerCopies& copies) {
  std::vector<std::tuple<int64_t, TaskId, const TaskCopy*>> largest_first;
  for (const auto& [task, copy] : copies.tasks)
    largest_first.emplace_back(-copy.bytes(), task, &copy);
  std::sort(largest_first.begin(), largest_first.end());
  std::map<std::string, size_t> indices;
  Json names = Json::array();
  Json rows = Json::array();
  size_t bytes = 0;
  for (const auto& [size, task, copy] : largest_first) {
    if (bytes > kCopiesBytesMax) break;
    if (copy->stores.empty()) rows.push_back(Json::array({task.value()}));
    for (const StoreCopy& store : copy->stores) {
      const auto [at, is_new] = indices.emplace(store.store, indices.size());
      if (is_new) names.push_back(store.store);
      rows.push_back({task.value(), at->second, store.position, store.bytes, store.marker_time_ms});
      bytes += DumpJson(rows.back()).size() + 1;
      if (is_new) bytes += store.store.size() + 3;
    }
  }
  return MakeRecord(KeyOf(kCopiesPrefix, worker), {{"diskId", copies.disk_id},
                                                   {"node", copies.node},
                                                   {"zone", copies.zone},
                                                   {"volume", copies.volume},
                                                   {"seenAtMs", copies.seen_at_ms},
                                                   {"stores", names},
                                                   {"tasks", rows}});
}

TopicRecord ForgetCopies(WorkerId worker) {
  return {.key = KeyOf(kCopiesPrefix, worker), .value = "", .tombstone = true};
}

std::vector<TopicRecord> EncodeAssignmentChange(const Assignment& before, const Assignment& after,
                                                WallTime now) {
  if (before == after) return {};
  std::vector<TopicRecord> records;
  for (const auto& [id, worker] : after.workers) {
    const auto old = before.workers.find(id);
    if (old != before.workers.end() && old->second == worker) continue;
    Json json = {{"generation", worker.generation.value()},
                 {"active", TaskNumbers(worker.active)},
                 {"standby", TaskNumbers(worker.standby)},
                 {"transactionalIds", worker.transactional_ids},
                 {"incarnation", worker.incarnation}};
    if (!worker.replaced.empty()) json["replaced"] = worker.replaced;
    records.push_back(MakeRecord(KeyOf(kWorkerPrefix, id), std::move(json)));
  }
  for (const auto& [id, worker] : before.workers) {
    if (after.workers.count(id) == 0)
      records.push_back({.key = KeyOf(kWorkerPrefix, id), .value = "", .tombstone = true});
  }
  records.push_back(MakeRecord(kHeaderKey, {{"generation", after.generation.value()},
                                            {"reason", after.reason},
                                            {"life", after.life},
                                            {"writtenAtMs", ToUnixMillis(now)}}));
  return records;
}

namespace {

void Forget(std::string_view key, WorkerId worker, CoordinatorState* state) {
  if (key.starts_with(kWorkerPrefix)) {
    state->assignment.workers.erase(worker);
  } else if (key.starts_with(kCopiesPrefix)) {
    state->copies.erase(worker);
  } else if (key == kClaimKey) {
    state->claim.reset();
  } else if (key == kModelKey) {
    state->model.reset();
  } else {
    state->assignment.generation = Generation();
    state->assignment.reason.clear();
    state->assignment.life.clear();
  }
}

}  // namespace

Status ApplyCoordinatorRecord(const TopicRecord& record, CoordinatorState* state,
                              FoldCopies fold_copies) {
  const std::string_view key = record.key;
  const bool is_worker = key.starts_with(kWorkerPrefix);
  const bool is_copies = key.starts_with(kCopiesPrefix);
  if (!is_worker && !is_copies && key != kClaimKey && key != kModelKey && key != kHeaderKey)
    return Status::Ok();
  if (is_copies && fold_copies == FoldCopies::kNo) return Status::Ok();

  WorkerId id;
  if (is_worker || is_copies) {
    COHO_ASSIGN_OR_RETURN(id, ParseWorkerKey(key, is_worker ? kWorkerPrefix : kCopiesPrefix));
  }
  if (record.tombstone) {
    Forget(key, id, state);
    return Status::Ok();
  }

  const std::string name = "coordinator record " + ShowJson(key);
  COHO_ASSIGN_OR_RETURN(const Json json, ParseVersioned(record.value, name));
  const auto fold = [&](auto decoded, auto store) {
    if (!decoded.ok()) return CorruptRecord(name, decoded.status());
    store(*std::move(decoded));
    return Status::Ok();
  };
  if (is_worker) {
    return fold(DecodeWorker(json),
                [&](WorkerAssignment w) { state->assignment.workers[id] = std::move(w); });
  }
  if (is_copies)
    return fold(DecodeCopies(json), [&](WorkerCopies c) { state->copies[id] = std::move(c); });
  if (key == kClaimKey)
    return fold(DecodeClaim(json), [&](Claim c) { state->claim = std::move(c); });
  if (key == kModelKey)
    return fold(DecodeModel(json), [&](JobModel m) { state->model = std::move(m); });
  return fold(DecodeHeader(json), [&](AssignmentHeader h) {
    state->assignment.generation = h.generation;
    state->assignment.reason = std::move(h.reason);
    state->assignment.life = std::move(h.life);
  });
}

}  // namespace coho
