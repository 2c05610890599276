// Names, labels and annotations of what the operator makes for a job: written by manifests, read by
// observe. A job's objects are found by the label coho.dev/job, a worker's by coho.dev/worker as
// well.
//
// A worker's set has one pod, and its ordinal is the worker's id (ordinals.start), so that the
// pod-index label tells the worker and the claim's name never changes: worker 2 of job visits is
// set visits-worker-2, pod visits-worker-2-2, claim state-visits-worker-2-2. With job names of at
// most 40 characters and ids of at most 3 digits every name fits.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/base/ids.h"

namespace coho {

inline constexpr std::string_view kApiGroup = "coho.dev";
inline constexpr std::string_view kApiVersion = "coho.dev/v1alpha1";
inline constexpr std::string_view kStreamJobKind = "StreamJob";
inline constexpr std::string_view kStreamJobPlural = "streamjobs";
inline constexpr std::string_view kFieldManager = "coho-operator";

inline constexpr std::string_view kJobLabel = "coho.dev/job";
inline constexpr std::string_view kWorkerLabel = "coho.dev/worker";
inline constexpr std::string_view kManagedByLabel = "app.kubernetes.io/managed-by";
inline constexpr std::string_view kManagedBy = "coho-operator";

// On every object that the operator applies: hash of the applied content without this annotation.
inline constexpr std::string_view kAppliedHashAnnotation = "coho.dev/applied-hash";
// On a set's pod template, hence on pods: hash of what needs a restart to take effect. Placement is
// not part of it.
inline constexpr std::string_view kTemplateHashAnnotation = "coho.dev/template-hash";
// Inside the template: hash of the parts of the job that a worker reads at its start.
inline constexpr std::string_view kConfigHashAnnotation = "coho.dev/config-hash";

inline constexpr std::string_view kWorkerContainer = "worker";
inline constexpr std::string_view kStateVolume = "state";  // the volume claim template
inline constexpr std::string_view kHostnameLabel = "kubernetes.io/hostname";
inline constexpr std::string_view kZoneLabel = "topology.kubernetes.io/zone";
inline constexpr std::string_view kOutOfServiceTaint = "node.kubernetes.io/out-of-service";

[[nodiscard]] std::string WorkerSetName(std::string_view job, WorkerId worker);
[[nodiscard]] std::string WorkerPodName(std::string_view job, WorkerId worker);
[[nodiscard]] std::string WorkerClaimName(std::string_view job, WorkerId worker);
[[nodiscard]] std::string ServiceName(std::string_view job);  // <job>-workers
// <job>-job-<hash>: one for each content, never changed.
[[nodiscard]] std::string JobConfigMapName(std::string_view job, std::string_view config_hash);
[[nodiscard]] std::string AssignmentConfigMapName(std::string_view job);  // <job>-assignment
[[nodiscard]] std::string WorkerAccountName(std::string_view job);        // <job>-worker
[[nodiscard]] std::string DisruptionBudgetName(std::string_view job);     // <job>-workers

// The id in the value of a coho.dev/worker label; nullopt for anything but a plain number of at
// most 9 digits.
[[nodiscard]] std::optional<WorkerId> ParseWorkerLabel(std::string_view value);

}  // namespace coho
