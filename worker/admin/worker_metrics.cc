#include "worker/admin/worker_metrics.h"

#include <prometheus/client_metric.h>
#include <prometheus/metric_type.h>

#include <cmath>
#include <limits>
#include <utility>

namespace coho {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

MetricFamily Family(std::string name, std::string help, MetricType type) {
  MetricFamily family;
  family.name = std::move(name);
  family.help = std::move(help);
  family.type = type;
  return family;
}

void Add(MetricFamily* family, Labels labels, double value) {
  ClientMetric& metric = family->metric.emplace_back();
  metric.label = std::move(labels);
  (family->type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
}

MetricFamily Single(std::string name, std::string help, MetricType type, double value) {
  MetricFamily family = Family(std::move(name), std::move(help), type);
  Add(&family, {}, value);
  return family;
}

Labels OfTask(TaskId task) { return {{"task", ToString(task)}}; }

void AddRecordCounters(const WorkerStatus& status, std::vector<MetricFamily>* out) {
  MetricFamily processed = Family("coho_processed_records_total",
                                  "Input records that were processed.", MetricType::Counter);
  MetricFamily sent =
      Family("coho_sent_records_total", "Records that tasks sent to outputs.", MetricType::Counter);
  MetricFamily skipped = Family("coho_skipped_records_total",
                                "Input records that failed and were skipped.", MetricType::Counter);
  MetricFamily dead =
      Family("coho_dead_letter_records_total",
             "Input records that failed and went to the dead-letter topic.", MetricType::Counter);
  // A task may have run on several loops in turn.
  std::map<TaskId, TaskCounters> sums;
  for (const LoopStatus& loop : status.loops) {
    for (const auto& [task, counters] : loop.counters) {
      TaskCounters& sum = sums[task];
      sum.processed += counters.processed;
      sum.sent += counters.sent;
      sum.skipped += counters.skipped;
      sum.dead_letters += counters.dead_letters;
    }
  }
  for (const auto& [task, sum] : sums) {
    Add(&processed, OfTask(task), static_cast<double>(sum.processed));
    Add(&sent, OfTask(task), static_cast<double>(sum.sent));
    Add(&skipped, OfTask(task), static_cast<double>(sum.skipped));
    Add(&dead, OfTask(task), static_cast<double>(sum.dead_letters));
  }
  for (MetricFamily* family : {&processed, &sent, &skipped, &dead})
    out->push_back(std::move(*family));
}

void AddTaskGauges(const WorkerStatus& status, std::vector<MetricFamily>* out) {
  MetricFamily lag =
      Family("coho_task_lag_records",
             "Records between a task's positions and the ends of its inputs.", MetricType::Gauge);
  MetricFamily state =
      Family("coho_task_state", "1 for the state that a task is in.", MetricType::Gauge);
  MetricFamily bytes =
      Family("coho_store_bytes", "Estimated size of a store on disk.", MetricType::Gauge);
  int64_t overlay = 0;
  for (const LoopStatus& loop : status.loops) {
    for (const TaskStatus& task : loop.tasks) {
      if (task.report.lag >= 0)
        Add(&lag, OfTask(task.report.task), static_cast<double>(task.report.lag));
      for (const TaskState s : {TaskState::kStarting, TaskState::kRestoring, TaskState::kRunning,
                                TaskState::kClosing}) {
        Labels labels = OfTask(task.report.task);
        labels.push_back({"state", std::string(TaskStateName(s))});
        Add(&state, std::move(labels), task.report.state == s ? 1 : 0);
      }
      for (const StoreStatus& store : task.stores) {
        Labels labels = OfTask(task.report.task);
        labels.push_back({"store", store.name});
        Add(&bytes, std::move(labels), static_cast<double>(store.bytes));
        overlay += store.overlay_bytes;
      }
    }
  }
  for (MetricFamily* family : {&lag, &state, &bytes}) out->push_back(std::move(*family));
  out->push_back(Single("coho_overlay_bytes",
                        "Memory of the stores' overlays: values not yet on disk, and cached ones.",
                        MetricType::Gauge, static_cast<double>(overlay)));
}

void AddCommits(const WorkerStatus& status, std::vector<MetricFamily>* out) {
  CommitTimes times;
  uint64_t aborts = 0;
  uint64_t fenced = 0;
  uint64_t lost = 0;
  for (const LoopStatus& loop : status.loops) {
    for (size_t i = 0; i < times.counts.size(); ++i) times.counts[i] += loop.commits.counts[i];
    times.sum += loop.commits.sum;
    aborts += loop.commit_aborts;
    fenced += loop.fenced;
    lost += loop.records_lost;
  }
  MetricFamily seconds = Family("coho_commit_seconds",
                                "Duration of commits, from changelog to acknowledged transaction.",
                                MetricType::Histogram);
  ClientMetric& metric = seconds.metric.emplace_back();
  uint64_t cumulative = 0;
  for (size_t i = 0; i < times.counts.size(); ++i) {
    cumulative += times.counts[i];
    metric.histogram.bucket.push_back(
        {.cumulative_count = cumulative,
         .upper_bound = i < CommitTimes::kUpperBounds.size()
                            ? CommitTimes::kUpperBounds[i]
                            : std::numeric_limits<double>::infinity()});
  }
  metric.histogram.sample_count = cumulative;
  metric.histogram.sample_sum = times.sum;
  out->push_back(Single("coho_commits_total", "Commits of run loops.", MetricType::Counter,
                        static_cast<double>(cumulative)));
  out->push_back(std::move(seconds));
  out->push_back(Single("coho_commit_aborts_total",
                        "Commits that failed; their tasks began again at the commit before.",
                        MetricType::Counter, static_cast<double>(aborts)));
  out->push_back(Single("coho_fenced_total",
                        "Times that a run loop found itself fenced and dropped its tasks.",
                        MetricType::Counter, static_cast<double>(fenced)));
  out->push_back(Single("coho_records_lost_total",
                        "Input records that their topic's retention deleted before they were read.",
                        MetricType::Counter, static_cast<double>(lost)));
}

void AddRestores(const WorkerStatus& status, const RestoreTotals& totals,
                 std::vector<MetricFamily>* out) {
  uint64_t planned = 0;
  for (const LoopStatus& loop : status.loops) planned += loop.restores_planned;
  out->push_back(Single("coho_restore_records_total", "Changelog records that restores replayed.",
                        MetricType::Counter, static_cast<double>(totals.records.load())));
  out->push_back(Single("coho_restore_records_planned_total",
                        "Changelog offsets that finished restores had to pass; the replayed "
                        "records and control records.",
                        MetricType::Counter, static_cast<double>(planned)));
  out->push_back(Single("coho_restore_bytes_total",
                        "Bytes of changelog records that restores replayed.", MetricType::Counter,
                        static_cast<double>(totals.bytes.load())));
  out->push_back(Single("coho_store_wipes_total",
                        "Stores that were wiped and replayed from the changelog's begin.",
                        MetricType::Counter, static_cast<double>(totals.wipes.load())));
}

}  // namespace

WorkerMetrics::WorkerMetrics(Options options) : options_(std::move(options)) {}

std::vector<MetricFamily> WorkerMetrics::Collect() const {
  const WorkerStatus status = options_.status();
  std::vector<MetricFamily> out;
  AddRecordCounters(status, &out);
  AddTaskGauges(status, &out);
  AddCommits(status, &out);
  AddRestores(status, *options_.restore_totals, &out);
  out.push_back(Single("coho_generation", "Generation of the assignment that the worker follows.",
                       MetricType::Gauge, static_cast<double>(status.member.generation.value())));
  out.push_back(Single("coho_acknowledged_generation",
                       "Generation whose revocations are all carried out.", MetricType::Gauge,
                       static_cast<double>(status.member.acknowledged.value())));
  out.push_back(Single("coho_heartbeats_total", "Heartbeats that Kafka acknowledged.",
                       MetricType::Counter, static_cast<double>(status.member.heartbeats)));
  MetricFamily info =
      Family("coho_build_info", "1, labelled with the version of the worker.", MetricType::Gauge);
  Add(&info, {{"version", options_.version}}, 1);
  out.push_back(std::move(info));
  return out;
}

}  // namespace coho
