#include "operator/manifests/config_map.h"

#include <utility>

#include "common/contract/worker_command.h"
#include "operator/api/names.h"
#include "operator/manifests/object.h"

namespace coho {
namespace {

using nlohmann::json;

json TaskNumbers(const std::vector<TaskId>& tasks) {
  json numbers = json::array();
  for (const TaskId task : tasks) numbers.push_back(task.value());
  return numbers;
}

}  // namespace

Job WorkerJob(const Job& job) {
  Job read = job;
  read.image.clear();
  read.workers.count = WorkersSpec().count;
  read.storage = StorageSpec();
  read.storage.flush_interval = job.storage.flush_interval;
  read.failover.homecoming_timeout = FailoverSpec().homecoming_timeout;
  read.failover.lost_node_policy = FailoverSpec().lost_node_policy;
  read.failover.lost_node_timeout = FailoverSpec().lost_node_timeout;
  read.state = StateSpec();
  // With AtLeastOnce the model asks for it.
  if (read.failover.homecoming_timeout < read.failover.session_timeout)
    read.failover.homecoming_timeout = read.failover.session_timeout;
  return read;
}

json MakeJobConfigMap(const StreamJob& job) {
  json object =
      MakeObject(job, kConfigMapType, JobConfigMapName(job.id.name, WorkerConfigHash(*job.job)));
  // How many there are to be is a hint for the memory of a worker; it is that of the time when the
  // file was made.
  Job read = WorkerJob(*job.job);
  read.workers.count = job.job->workers.count;
  object["data"] = {{kJobFileKey, JobToJson(read)}};
  object["immutable"] = true;
  return Sealed(std::move(object));
}

std::string WorkerConfigHash(const Job& job) { return TextHash(JobToJson(WorkerJob(job))); }

json MakeAssignmentConfigMap(const StreamJob& job, const Assignment& assignment) {
  json workers = json::object();
  for (const auto& [id, worker] : assignment.workers) {
    workers[ToString(id)] = {{"active", TaskNumbers(worker.active)},
                             {"standby", TaskNumbers(worker.standby)}};
  }
  const json content = {{"generation", assignment.generation.value()},
                        {"reason", assignment.reason},
                        {"workers", std::move(workers)}};
  json object = MakeObject(job, kConfigMapType, AssignmentConfigMapName(job.id.name));
  object["data"] = {
      {std::string(kAssignmentKey), content.dump(-1, ' ', false, json::error_handler_t::replace)}};
  return Sealed(std::move(object));
}

}  // namespace coho
