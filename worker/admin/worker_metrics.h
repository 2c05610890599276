// A worker's figures as Prometheus families, made from its status at each scrape: what is counted
// on the way of a record is counted in plain structs of the loops.
//
// Safe to use from any thread.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <functional>
#include <string>
#include <vector>

#include "worker/member/member.h"
#include "worker/member/worker_status.h"

namespace coho {

class WorkerMetrics final : public prometheus::Collectable {
 public:
  struct Options {
    std::string version;
    std::function<WorkerStatus()> status;
    const RestoreTotals* restore_totals = nullptr;  // outlives the object
  };
  explicit WorkerMetrics(Options options);
  [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const Options options_;
};

}  // namespace coho
