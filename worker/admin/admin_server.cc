#include "worker/admin/admin_server.h"

#include <memory>
#include <utility>

#include "common/contract/worker_command.h"
#include "common/http/metrics.h"
#include "common/http/process_metrics.h"
#include "worker/admin/tasks_page.h"
#include "worker/admin/worker_metrics.h"

namespace coho {
namespace {

// User code may take its time with a record, a flush with a slow disk.
constexpr Duration kLivenessBound = std::chrono::seconds(60);

http::Response Answer(const Health& health) {
  return {.status = health.ok ? 200 : 503, .body = health.text + "\n"};
}

}  // namespace

Result<std::unique_ptr<http::Server>> StartAdminServer(const AdminOptions& options) {
  auto server = std::make_unique<http::Server>(
      http::Server::Options{.host = options.host, .port = options.port});
  const auto live = [options](const http::Request&) {
    return Answer(Liveness(options.progress(), options.clock->Now(), kLivenessBound));
  };
  server->Route(kPathLive, live);
  server->Route(kPathStarted, live);
  server->Route(kPathReady,
                [options](const http::Request&) { return Answer(Readiness(options.status())); });
  server->Route("/v1/tasks", [options](const http::Request&) {
    return http::Response{.content_type = "application/json",
                          .body = TasksPage(options.worker, options.status())};
  });
  server->Route(kPathMetrics,
                http::MetricsHandler({std::make_shared<WorkerMetrics>(WorkerMetrics::Options{
                                          .version = options.version,
                                          .status = options.status,
                                          .restore_totals = options.restore_totals}),
                                      std::make_shared<http::ProcessMetrics>()}));
  COHO_RETURN_IF_ERROR(server->Start());
  return server;
}

}  // namespace coho
