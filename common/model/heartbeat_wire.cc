// Records of the heartbeats topic. Empty and zero fields are left out: most beats carry no report
// and are a few bytes.
#include <algorithm>

#include "common/model/assignment.h"
#include "common/model/wire_version.h"

namespace coho {
namespace {

// As the schema has it.
constexpr Duration kLongestSession = std::chrono::hours(24);

void PutText(Json& json, const char* name, const std::string& text) {
  if (!text.empty()) json[name] = text;
}
void PutNumber(Json& json, const char* name, int64_t number) {
  if (number != 0) json[name] = number;
}

Json WriteStores(const std::vector<StoreCopy>& stores) {
  Json list = Json::array();
  for (const StoreCopy& store : stores) {
    Json json = {{"store", store.store}};
    PutNumber(json, "position", store.position);
    PutNumber(json, "bytes", store.bytes);
    PutNumber(json, "markerTimeMs", store.marker_time_ms);
    list.push_back(std::move(json));
  }
  return list;
}

Json WriteTask(const TaskReport& task) {
  Json json = {{"task", task.task.value()}};
  if (task.state != TaskState::kClosed) json["state"] = TaskStateName(task.state);
  if (task.restore_source != RestoreSource::kNone)
    json["restoreSource"] = RestoreSourceName(task.restore_source);
  PutNumber(json, "restoredRecords", task.restored_records);
  PutNumber(json, "restoreTotal", task.restore_total);
  PutNumber(json, "lag", task.lag);
  PutNumber(json, "changelogPosition", task.changelog_position);
  PutNumber(json, "stateBytes", task.state_bytes);
  if (!task.stores.empty()) json["stores"] = WriteStores(task.stores);
  return json;
}

Json WriteTasks(const std::vector<TaskReport>& tasks) {
  Json list = Json::array();
  for (const TaskReport& task : tasks) list.push_back(WriteTask(task));
  return list;
}

Json WriteReport(const WorkerReport& report) {
  Json json = Json::object();
  PutText(json, "node", report.node);
  PutText(json, "zone", report.zone);
  PutText(json, "pod", report.pod);
  PutText(json, "volume", report.volume);
  PutText(json, "diskId", report.disk_id);
  PutText(json, "version", report.version);
  PutText(json, "problem", report.problem);
  if (!report.transactional_ids.empty()) json["transactionalIds"] = report.transactional_ids;
  if (!report.tasks.empty()) json["tasks"] = WriteTasks(report.tasks);
  if (!report.on_disk.empty()) json["onDisk"] = WriteTasks(report.on_disk);
  if (report.partial) json["partial"] = true;
  return json;
}

void ReadTask(ObjectReader& in, TaskReport* out) {
  in.AcceptUnknown();
  in.Require("task", "a task number");
  ReadStrong(in, "task", &out->task);
  in.OneOf<TaskState>("state",
                      {{"Closed", TaskState::kClosed},
                       {"Starting", TaskState::kStarting},
                       {"Restoring", TaskState::kRestoring},
                       {"Running", TaskState::kRunning},
                       {"Standby", TaskState::kStandby},
                       {"Closing", TaskState::kClosing},
                       {"Failed", TaskState::kFailed}},
                      &out->state);
  in.OneOf<RestoreSource>("restoreSource",
                          {{"None", RestoreSource::kNone},
                           {"Local", RestoreSource::kLocal},
                           {"Replay", RestoreSource::kReplay},
                           {"Wiped", RestoreSource::kWiped}},
                          &out->restore_source);
  in.Number("restoredRecords", INT64_MIN, INT64_MAX, &out->restored_records);
  in.Number("restoreTotal", INT64_MIN, INT64_MAX, &out->restore_total);
  in.Number("lag", INT64_MIN, INT64_MAX, &out->lag);
  in.Number("changelogPosition", INT64_MIN, INT64_MAX, &out->changelog_position);
  in.Number("stateBytes", INT64_MIN, INT64_MAX, &out->state_bytes);
  in.Objects("stores", [&](ObjectReader& store) {
    store.AcceptUnknown();
    StoreCopy& copy = out->stores.emplace_back();
    store.Text("store", &copy.store);
    store.Number("position", INT64_MIN, INT64_MAX, &copy.position);
    store.Number("bytes", INT64_MIN, INT64_MAX, &copy.bytes);
    store.Number("markerTimeMs", INT64_MIN, INT64_MAX, &copy.marker_time_ms);
  });
}

void ReadProven(ObjectReader& in, std::map<std::string, Generation>* out) {
  const Json* proven = in.Find("proven");
  if (proven == nullptr) return;
  if (!proven->is_object()) return in.Refuse("proven", "an object of generations");
  for (const auto& [id, item] : proven->items()) {
    const int64_t number = item.is_number_integer() ? item.get<int64_t>() : -1;
    if (number < 0) return in.Refuse("proven", "an object of generations");
    (*out)[id] = Generation(number);
  }
}

void ReadReport(ObjectReader& in, WorkerReport* out) {
  in.AcceptUnknown();
  in.Text("node", &out->node);
  in.Text("zone", &out->zone);
  in.Text("pod", &out->pod);
  in.Text("volume", &out->volume);
  in.Text("diskId", &out->disk_id);
  in.Text("version", &out->version);
  in.Text("problem", &out->problem);
  ReadTexts(in, "transactionalIds", &out->transactional_ids);
  in.Flag("partial", &out->partial);
  in.Objects("tasks", [&](ObjectReader& task) { ReadTask(task, &out->tasks.emplace_back()); });
  in.Objects("onDisk", [&](ObjectReader& task) { ReadTask(task, &out->on_disk.emplace_back()); });
}

}  // namespace

TopicRecord EncodeHeartbeat(const Heartbeat& heartbeat) {
  Json json = {{"v", kWireVersion},
               {"worker", heartbeat.worker.value()},
               {"incarnation", heartbeat.incarnation},
               {"sequence", heartbeat.sequence},
               {"phase", WorkerPhaseName(heartbeat.phase)},
               {"acknowledged", heartbeat.acknowledged.value()}};
  PutText(json, "life", heartbeat.life);
  PutNumber(json, "sessionMs", heartbeat.session / std::chrono::milliseconds(1));
  for (const auto& [id, generation] : heartbeat.proven) json["proven"][id] = generation.value();
  if (heartbeat.report) json["report"] = WriteReport(*heartbeat.report);
  return {.key = ToString(heartbeat.worker), .value = DumpJson(json)};
}

Result<Heartbeat> DecodeHeartbeat(std::string_view value) {
  COHO_ASSIGN_OR_RETURN(const Json json, ParseVersioned(value, "heartbeat"));
  Heartbeat beat;
  Status error;
  ObjectReader in(json, "value", &error);
  for (const char* name : {"worker", "incarnation", "sequence", "phase", "acknowledged"})
    in.Require(name, "a value");
  ReadStrong(in, "worker", &beat.worker);
  in.Text("incarnation", &beat.incarnation);
  in.Number("sequence", 0, INT64_MAX, &beat.sequence);
  in.OneOf<WorkerPhase>("phase",
                        {{"Starting", WorkerPhase::kStarting},
                         {"Running", WorkerPhase::kRunning},
                         {"Draining", WorkerPhase::kDraining},
                         {"Gone", WorkerPhase::kGone}},
                        &beat.phase);
  ReadStrong(in, "acknowledged", &beat.acknowledged);
  in.Text("life", &beat.life);
  int64_t session_ms = 0;
  in.Number("sessionMs", 0, INT64_MAX, &session_ms);
  beat.session = std::chrono::milliseconds(
      std::min(session_ms, kLongestSession / std::chrono::milliseconds(1)));
  ReadProven(in, &beat.proven);
  in.Object("report", [&](ObjectReader& report) { ReadReport(report, &beat.report.emplace()); });
  if (!error.ok()) return CorruptRecord("heartbeat", error);
  return beat;
}

}  // namespace coho
