// Records of the coordinator topic. Localities are rows of numbers beside a table of names, because
// one record holds all tasks.
#include <algorithm>
#include <charconv>

#include "common/model/assignment.h"
#include "common/model/wire_version.h"

namespace coho {
namespace {

constexpr std::string_view kModelKey = "model";
constexpr std::string_view kHeaderKey = "assignment";
constexpr std::string_view kLocalityKey = "locality";
constexpr std::string_view kWorkerPrefix = "worker/";

TopicRecord MakeRecord(std::string_view key, Json json) {
  json["v"] = kWireVersion;
  return {.key = std::string(key), .value = DumpJson(json)};
}

std::string WorkerKey(WorkerId worker) { return std::string(kWorkerPrefix) + ToString(worker); }

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

void ReadCounts(ObjectReader& in, std::string_view name, std::map<std::string, int32_t>* out) {
  const Json* counts = in.Find(name);
  if (counts == nullptr) return;
  if (!counts->is_object()) return in.Refuse(name, "an object of partition counts");
  for (const auto& [topic, count] : counts->items()) {
    const auto number = count.is_number_integer() ? count.get<int64_t>() : -1;
    if (number < 1 || number > INT32_MAX) return in.Refuse(name, "an object of partition counts");
    (*out)[topic] = static_cast<int32_t>(number);
  }
}

Result<JobModel> DecodeModel(const Json& json) {
  JobModel model;
  Status error;
  ObjectReader in(json, "value", &error);
  in.Require("tasks", "the number of tasks");
  in.Number("tasks", 1, INT32_MAX, &model.tasks);
  in.Require("inputPartitions", "partition counts of the inputs");
  ReadCounts(in, "inputPartitions", &model.input_partitions);
  in.TextMap("changelogs", &model.changelogs);
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
  in.Number("writtenAtMs", INT64_MIN, INT64_MAX, &header.written_at_ms);
  if (!error.ok()) return error;
  return header;
}

// Row: task, worker, node, zone, volume (indices of names), changelog position, bytes, seen at.
constexpr size_t kRowSize = 8;

Result<Locality> DecodeLocality(const Json& json) {
  std::vector<std::string> names;
  Status error;
  ObjectReader in(json, "value", &error);
  ReadTexts(in, "names", &names);
  in.Require("tasks", "a list of rows");
  const Json* rows = in.FindList("tasks");
  if (!error.ok()) return error;

  Locality locality;
  const auto bad_row = [&](size_t i) {
    return InvalidArgument(
        "value.tasks[" + std::to_string(i) + "]: found " + ShowJson((*rows)[i]) +
        ", need 8 whole numbers: task, worker, three indices into names, position, bytes, time");
  };
  for (size_t i = 0; i < rows->size(); ++i) {
    const Json& row = (*rows)[i];
    const auto whole = [](const Json& item) { return item.is_number_integer(); };
    if (!row.is_array() || row.size() != kRowSize || !std::all_of(row.begin(), row.end(), whole))
      return bad_row(i);
    int64_t n[kRowSize];
    for (size_t k = 0; k < kRowSize; ++k) n[k] = row[k].get<int64_t>();
    const auto id = [](int64_t number) { return number >= 0 && number <= INT32_MAX; };
    const auto name = [&](int64_t index) {
      return index >= 0 && static_cast<size_t>(index) < names.size();
    };
    if (!id(n[0]) || !id(n[1]) || !name(n[2]) || !name(n[3]) || !name(n[4])) return bad_row(i);
    locality[TaskId(static_cast<int32_t>(n[0]))] = {.worker = WorkerId(static_cast<int32_t>(n[1])),
                                                    .node = names[static_cast<size_t>(n[2])],
                                                    .zone = names[static_cast<size_t>(n[3])],
                                                    .volume = names[static_cast<size_t>(n[4])],
                                                    .changelog_position = n[5],
                                                    .bytes = n[6],
                                                    .seen_at_ms = n[7]};
  }
  return locality;
}

Result<WorkerId> ParseWorkerKey(std::string_view key) {
  const std::string_view digits = key.substr(kWorkerPrefix.size());
  int32_t id = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), id);
  if (error != std::errc() || end != digits.data() + digits.size() || id < 0) {
    return Corruption("coordinator record " + ShowJson(key) +
                      ": the key must end in a worker's number");
  }
  return WorkerId(id);
}

}  // namespace

TopicRecord EncodeModel(const JobModel& model) {
  return MakeRecord(kModelKey, {{"tasks", model.tasks},
                                {"inputPartitions", model.input_partitions},
                                {"changelogs", model.changelogs}});
}

TopicRecord EncodeLocality(const Locality& locality) {
  std::map<std::string, size_t> indices;
  Json names = Json::array();
  const auto index = [&](const std::string& name) {
    const auto [at, is_new] = indices.emplace(name, indices.size());
    if (is_new) names.push_back(name);
    return at->second;
  };
  Json rows = Json::array();
  for (const auto& [task, at] : locality) {
    rows.push_back({task.value(), at.worker.value(), index(at.node), index(at.zone),
                    index(at.volume), at.changelog_position, at.bytes, at.seen_at_ms});
  }
  return MakeRecord(kLocalityKey, {{"names", names}, {"tasks", rows}});
}

std::vector<TopicRecord> EncodeAssignmentChange(const Assignment& before, const Assignment& after,
                                                WallTime now) {
  if (before == after) return {};
  std::vector<TopicRecord> records;
  for (const auto& [id, worker] : after.workers) {
    const auto old = before.workers.find(id);
    if (old != before.workers.end() && old->second == worker) continue;
    records.push_back(MakeRecord(WorkerKey(id), {{"generation", worker.generation.value()},
                                                 {"active", TaskNumbers(worker.active)},
                                                 {"standby", TaskNumbers(worker.standby)},
                                                 {"transactionalIds", worker.transactional_ids}}));
  }
  for (const auto& [id, worker] : before.workers) {
    if (after.workers.count(id) == 0) records.push_back({.key = WorkerKey(id), .tombstone = true});
  }
  records.push_back(MakeRecord(kHeaderKey, {{"generation", after.generation.value()},
                                            {"reason", after.reason},
                                            {"writtenAtMs", ToUnixMillis(now)}}));
  return records;
}

Status ApplyCoordinatorRecord(const TopicRecord& record, CoordinatorState* state) {
  const std::string_view key = record.key;
  const bool is_worker = key.substr(0, kWorkerPrefix.size()) == kWorkerPrefix;
  if (!is_worker && key != kModelKey && key != kHeaderKey && key != kLocalityKey)
    return Status::Ok();

  WorkerId worker_id;
  if (is_worker) {
    COHO_ASSIGN_OR_RETURN(worker_id, ParseWorkerKey(key));
  }
  if (record.tombstone) {
    if (is_worker) {
      state->assignment.workers.erase(worker_id);
    } else if (key == kModelKey) {
      state->model.reset();
    } else if (key == kLocalityKey) {
      state->locality.clear();
    } else {
      state->assignment.generation = Generation();
      state->assignment.reason.clear();
    }
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
                [&](const WorkerAssignment& w) { state->assignment.workers[worker_id] = w; });
  }
  if (key == kModelKey)
    return fold(DecodeModel(json), [&](const JobModel& m) { state->model = m; });
  if (key == kLocalityKey)
    return fold(DecodeLocality(json), [&](const Locality& l) { state->locality = l; });
  return fold(DecodeHeader(json), [&](const AssignmentHeader& h) {
    state->assignment.generation = h.generation;
    state->assignment.reason = h.reason;
  });
}

}  // namespace coho
