#include "worker/admin/tasks_page.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace coho {
namespace {

using Json = nlohmann::ordered_json;

Json TaskJson(const TaskStatus& task, const TaskCounters& counters, size_t loop) {
  Json inputs = Json::array();
  for (const PartitionStatus& input : task.inputs) {
    inputs.push_back({{"topic", input.partition.topic},
                      {"partition", input.partition.partition},
                      {"next", input.next},
                      {"committed", input.committed},
                      {"end", input.end},
                      {"lag", input.end < 0 ? -1 : std::max<int64_t>(0, input.end - input.next)}});
  }
  Json stores = Json::array();
  for (const StoreStatus& store : task.stores) {
    stores.push_back({{"store", store.name},
                      {"bytes", store.bytes},
                      {"overlayBytes", store.overlay_bytes},
                      {"dirtyBytes", store.dirty_bytes},
                      {"changelogPosition", store.changelog_position}});
  }
  return {{"task", task.report.task.value()},
          {"state", TaskStateName(task.report.state)},
          {"runLoop", loop},
          {"lag", task.report.lag},
          {"processed", counters.processed},
          {"sent", counters.sent},
          {"skipped", counters.skipped},
          {"deadLetters", counters.dead_letters},
          {"restore",
           {{"source", RestoreSourceName(task.report.restore_source)},
            {"records", task.report.restored_records},
            {"of", task.report.restore_total},
            {"bytes", task.restore_bytes}}},
          {"inputs", std::move(inputs)},
          {"stores", std::move(stores)}};
}

}  // namespace

std::string TasksPage(WorkerId worker, const WorkerStatus& status) {
  std::vector<std::pair<TaskId, Json>> tasks;
  for (size_t i = 0; i < status.loops.size(); ++i) {
    for (const TaskStatus& task : status.loops[i].tasks) {
      const auto counters = status.loops[i].counters.find(task.report.task);
      tasks.emplace_back(
          task.report.task,
          TaskJson(task,
                   counters == status.loops[i].counters.end() ? TaskCounters{} : counters->second,
                   i));
    }
  }
  std::sort(tasks.begin(), tasks.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  Json list = Json::array();
  for (auto& [id, task] : tasks) list.push_back(std::move(task));
  const Json page = {{"worker", worker.value()},
                     {"phase", WorkerPhaseName(status.member.phase)},
                     {"generation", status.member.generation.value()},
                     {"acknowledged", status.member.acknowledged.value()},
                     {"ready", AllTasksRun(status)},
                     {"waitingFor", status.member.waiting_for},
                     {"coordinatorProblem", status.coordinator ? status.coordinator->text : ""},
                     {"tasks", std::move(list)}};
  return page.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace coho
