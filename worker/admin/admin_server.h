// What a worker serves over HTTP: /metrics /livez /readyz /startz /v1/tasks,
// read-only, from published snapshots.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/http/server.h"
#include "worker/admin/health.h"
#include "worker/member/member.h"
#include "worker/member/worker_status.h"

namespace coho {

struct AdminOptions {
  std::string host;
  int port = 8080;
  WorkerId worker;
  std::string version;
  std::function<WorkerStatus()> status;  // both from any thread
  std::function<std::vector<ThreadProgress>()> progress;
  const RestoreTotals* restore_totals = nullptr;  // outlives the server
  const Clock* clock = &Clock::Real();
};

// Bound and serving. The error names the address.
[[nodiscard]] Result<std::unique_ptr<http::Server>> StartAdminServer(const AdminOptions& options);

}  // namespace coho
