// How a worker is started and looked at: the flags, environment, directories and paths on which the
// operator's pod template and the worker's command line agree. An image may be older or newer than
// the operator: what stands here is changed only so that both still understand each other.
#pragma once

#include <cstdint>

namespace coho {

// Flags, given as --flag=value.
inline constexpr char kFlagJob[] = "--job";
inline constexpr char kFlagWorkerId[] = "--worker-id";
inline constexpr char kFlagCoordinator[] = "--coordinator";
inline constexpr char kFlagStateDir[] = "--state-dir";
inline constexpr char kFlagHttpAddress[] = "--http-address";
inline constexpr char kFlagKafkaSecretDir[] = "--kafka-secret-dir";
// Values of kFlagCoordinator.
inline constexpr char kCoordinatorInProcess[] = "in-process";
inline constexpr char kCoordinatorElsewhere[] = "elsewhere";

// Environment.
inline constexpr char kEnvWorkerId[] = "COHO_WORKER_ID";
inline constexpr char kEnvNode[] = "COHO_NODE_NAME";
inline constexpr char kEnvZone[] = "COHO_ZONE";
inline constexpr char kEnvPod[] = "COHO_POD_NAME";
inline constexpr char kEnvVolume[] = "COHO_VOLUME";
// A user's own variables may not begin with it.
inline constexpr char kEnvPrefix[] = "COHO_";

// Where things are in a worker's container. The Secret lies beside the job's mount, not inside it:
// a mount point cannot be made in a read-only mount.
inline constexpr char kJobMount[] = "/etc/coho/job";
inline constexpr char kJobFileKey[] = "job.json";
inline constexpr char kKafkaSecretMount[] = "/etc/coho/kafka";
inline constexpr char kStateMount[] = "/var/lib/coho";
// A worker's last words, which Kubernetes shows with its exit code.
inline constexpr char kTerminationLog[] = "/dev/termination-log";

// What a worker serves.
inline constexpr int32_t kWorkerHttpPort = 8080;
inline constexpr char kPathMetrics[] = "/metrics";
inline constexpr char kPathLive[] = "/livez";
inline constexpr char kPathReady[] = "/readyz";
inline constexpr char kPathStarted[] = "/startz";

}  // namespace coho
