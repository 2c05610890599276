#include "operator/manifests/pod_template.h"

#include <set>
#include <string_view>
#include <utility>

#include "common/contract/worker_command.h"
#include "operator/api/names.h"
#include "operator/manifests/config_map.h"
#include "operator/manifests/object.h"
#include "operator/manifests/placement.h"

namespace coho {
namespace {

using nlohmann::json;

constexpr int kUser = 65532;  // "nonroot", as in the worker's image

json FromField(const char* name, const char* path) {
  return {{"name", name},
          {"valueFrom", {{"fieldRef", {{"apiVersion", "v1"}, {"fieldPath", path}}}}}};
}

// Ours, then the user's; of two entries with one name the last counts, since the API server refuses
// both.
json Environment(const StreamJob& job, WorkerId worker) {
  json env = json::array({FromField(kEnvNode, "spec.nodeName"),
                          FromField(kEnvPod, "metadata.name"),
                          {{"name", kEnvVolume}, {"value", WorkerClaimName(job.id.name, worker)}}});
  const json user = job.template_spec.value("env", json::array());
  std::set<std::string> seen;
  json extra = json::array();
  for (size_t i = user.size(); i-- > 0;) {
    const std::string name = user[i]["name"];
    if (!seen.insert(name).second) continue;
    const json entry = {{"name", name}, {"value", user[i].value("value", "")}};
    extra.insert(extra.begin(), entry);
  }
  env.insert(env.end(), extra.begin(), extra.end());
  return env;
}

std::string Flag(const char* flag, const std::string& value) {
  return std::string(flag) + "=" + value;
}

json Arguments(const StreamJob& job, WorkerId worker) {
  json args =
      json::array({Flag(kFlagJob, std::string(kJobMount) + "/" + kJobFileKey),
                   Flag(kFlagWorkerId, ToString(worker)),
                   Flag(kFlagCoordinator, kCoordinatorElsewhere), Flag(kFlagStateDir, kStateMount),
                   Flag(kFlagHttpAddress, ":" + std::to_string(kWorkerHttpPort))});
  if (!job.job->kafka.secret_name.empty())
    args.push_back(Flag(kFlagKafkaSecretDir, kKafkaSecretMount));
  return args;
}

json Probe(const char* path, int period, int failures) {
  return {{"httpGet", {{"path", path}, {"port", "http"}}},
          {"periodSeconds", period},
          {"timeoutSeconds", 5},
          {"failureThreshold", failures}};
}

json Mount(const char* name, const char* path, bool read_only) {
  json mount = {{"name", name}, {"mountPath", path}};
  if (read_only) mount["readOnly"] = true;
  return mount;
}

json Container(const StreamJob& job, const WorkerPodOptions& options) {
  json mounts = json::array({Mount("job", kJobMount, true),
                             Mount(std::string(kStateVolume).c_str(), kStateMount, false),
                             Mount("tmp", "/tmp", false)});
  if (!job.job->kafka.secret_name.empty())
    mounts.push_back(Mount("kafka", kKafkaSecretMount, true));
  json container = {
      {"name", std::string(kWorkerContainer)},
      {"image", job.job->image},
      {"imagePullPolicy", options.image_pull_policy},
      {"args", Arguments(job, options.worker)},
      {"env", Environment(job, options.worker)},
      {"ports",
       json::array({{{"name", "http"}, {"containerPort", kWorkerHttpPort}, {"protocol", "TCP"}}})},
      {"volumeMounts", std::move(mounts)},
      // /startz holds as long as a restore makes progress; ten minutes without any are too long.
      {"startupProbe", Probe(kPathStarted, 1, 600)},
      {"readinessProbe", Probe(kPathReady, 1, 3)},
      {"livenessProbe", Probe(kPathLive, 10, 6)},
      {"terminationMessagePath", kTerminationLog},
      {"terminationMessagePolicy", "FallbackToLogsOnError"},
      {"securityContext",
       {{"allowPrivilegeEscalation", false},
        {"readOnlyRootFilesystem", true},
        {"capabilities", {{"drop", json::array({"ALL"})}}}}},
  };
  if (!job.resources.empty()) container["resources"] = job.resources;
  return container;
}

json Volumes(const StreamJob& job) {
  json volumes = json::array(
      {{{"name", "job"},
        {"configMap", {{"name", JobConfigMapName(job.id.name, WorkerConfigHash(*job.job))}}}},
       {{"name", "tmp"}, {"emptyDir", {{"medium", "Memory"}, {"sizeLimit", "64Mi"}}}}});
  if (const std::string& secret = job.job->kafka.secret_name; !secret.empty()) {
    volumes.push_back(
        {{"name", "kafka"}, {"secret", {{"secretName", secret}, {"defaultMode", 0440}}}});
  }
  return volumes;
}

json Spec(const StreamJob& job, const WorkerPodOptions& options) {
  json spec = {
      {"serviceAccountName", WorkerAccountName(job.id.name)},
      {"automountServiceAccountToken", false},
      {"enableServiceLinks", false},
      {"terminationGracePeriodSeconds", 60},
      {"securityContext",
       {{"runAsNonRoot", true},
        {"runAsUser", kUser},
        {"runAsGroup", kUser},
        {"fsGroup", kUser},
        {"fsGroupChangePolicy", "OnRootMismatch"},  // a large store is not walked at each start
        {"seccompProfile", {{"type", "RuntimeDefault"}}}}},
      {"containers", json::array({Container(job, options)})},
      {"volumes", Volumes(job)},
  };
  for (const char* field :
       {"nodeSelector", "tolerations", "priorityClassName", "imagePullSecrets"}) {
    const auto it = job.template_spec.find(field);
    if (it != job.template_spec.end() && !it->empty()) spec[field] = *it;
  }
  return spec;
}

// The user's entries, with ours over them.
json Merged(const json& user, const json& ours) {
  json merged = user.is_object() ? user : json::object();
  merged.update(ours);
  return merged;
}

}  // namespace

json MakePodTemplate(const StreamJob& job, const WorkerPodOptions& options) {
  json labels = CommonLabels(job.id);
  labels[std::string(kWorkerLabel)] = ToString(options.worker);
  const json annotations = {
      {std::string(kConfigHashAnnotation), WorkerConfigHash(*job.job)},
      {"kubectl.kubernetes.io/default-container", std::string(kWorkerContainer)}};
  json pod = {
      {"metadata",
       {{"labels", Merged(job.template_spec.value("labels", json()), labels)},
        {"annotations", Merged(job.template_spec.value("annotations", json()), annotations)}}},
      {"spec", Spec(job, options)}};
  pod["metadata"]["annotations"].erase(std::string(kTemplateHashAnnotation));
  pod["metadata"]["annotations"][std::string(kTemplateHashAnnotation)] = ContentHash(pod);
  Place(job, options.home, &pod["spec"]);
  return pod;
}

std::string TemplateHash(const json& pod_template) {
  return pod_template["metadata"]["annotations"][std::string(kTemplateHashAnnotation)];
}

}  // namespace coho
