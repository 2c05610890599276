// The /metrics page: a prometheus-cpp registry and the process's own figures in the text format.
// prometheus-cpp brings registry and text form only; the endpoint is ours.
//
//   auto registry = std::make_shared<prometheus::Registry>();
//   server.Route("/metrics", http::MetricsHandler({registry,
//   std::make_shared<http::ProcessMetrics>()}));
//
// Registry and handler are safe to use from any thread.
#pragma once

#include <prometheus/collectable.h>

#include <memory>
#include <vector>

#include "common/http/process_metrics.h"
#include "common/http/server.h"

namespace coho::http {

// Collects from all sources at each request, families sorted by name. REQUIRES: no family name
// comes from two sources.
[[nodiscard]] Handler MetricsHandler(std::vector<std::shared_ptr<prometheus::Collectable>> sources);

}  // namespace coho::http
