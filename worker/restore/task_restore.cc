#include "worker/restore/task_restore.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/base/mutant.h"

namespace coho {

namespace {

constexpr Duration kBackoffMin = std::chrono::milliseconds(20);
constexpr Duration kBackoffMax = std::chrono::seconds(5);
// Worth a line in the log; shorter waits are everyday life.
constexpr Duration kBackoffLogged = std::chrono::seconds(1);
// A topic that was just created is not known to every broker at once.
constexpr Duration kMissingTopicGrace = std::chrono::seconds(10);

RestoreSource SourceOf(const StoreRestore& store) {
  if (store.wiped()) return RestoreSource::kWiped;
  return store.plan().mode == RestoreMode::kUseLocal ? RestoreSource::kLocal
                                                     : RestoreSource::kReplay;
}

}  // namespace

TaskRestore::TaskRestore(const Restorer::Options& options, RestoreRequest request, uint64_t number)
    : options_(options),
      request_(std::move(request)),
      number_(number),
      source_(PositionsSourceOf(*options.job, *options.model)),
      began_at_(options.clock->Now()),
      backoff_(kBackoffMin, kBackoffMax) {
  for (const StoreSpec& spec : options.job->stores) {
    StoreRestore::Options store{
        .job_id = options.job->id.ToString(),
        .spec = spec,
        .transactional = options.job->processing.guarantee == Guarantee::kExactlyOnce,
        .task = request_.task,
        .engines = options.engines};
    if (spec.changelog) {
      const auto pinned = options.model->stores.find(spec.name);
      const bool known = pinned != options.model->stores.end() && !pinned->second.changelog.empty();
      store.changelog_topic =
          known ? pinned->second.changelog : options.job->ChangelogTopic(spec.name);
      if (known) store.changelog_topic_id = pinned->second.topic_id;
      store.kafka_cluster_id = options.model->kafka_cluster_id;
    }
    items_.push_back({.store = std::make_unique<StoreRestore>(std::move(store))});
  }
  if (!source_.topic.empty() && source_.store.empty()) {
    positions_ =
        std::make_unique<PositionsRestore>(TopicPartition{source_.topic, request_.task.value()});
  }
}

Status TaskRestore::Open() {
  for (Item& item : items_) {
    if (item.opened) continue;
    COHO_RETURN_IF_ERROR(
        item.store->Open().WithContext("store " + item.store->options().spec.name));
    item.opened = true;
  }
  phase_ = Phase::kPlanning;
  return Status::Ok();
}

void TaskRestore::AddQuestions(MonotonicTime now, std::vector<TopicPartition>* partitions) const {
  if (phase_ != Phase::kPlanning || now < retry_at_) return;
  for (const Item& item : items_) {
    if (item.store->options().spec.changelog && !item.planned)
      partitions->push_back(item.store->source());
  }
  if (positions_ && !positions_planned_) partitions->push_back(positions_->source());
}

bool TaskRestore::MayPass(const Status& status) const {
  return status.code() == Code::kUnavailable || status.code() == Code::kDeadlineExceeded ||
         (status.code() == Code::kNotFound &&
          options_.clock->Now() - began_at_ < kMissingTopicGrace);
}

Status TaskRestore::PlanStore(Item* item, const ChangelogRange& range, WallTime asked_at,
                              ChangelogPort* port, Replays* replays) {
  StoreRestore& store = *item->store;
  StoreRestore::Changelog changelog{.begin = range.begin, .end = range.end, .asked_at = asked_at};
  if (store.NeedsRetention(changelog)) {
    COHO_ASSIGN_OR_RETURN(changelog.delete_retention,
                          port->DeleteRetention(store.options().changelog_topic));
  }
  COHO_RETURN_IF_ERROR(store.Plan(changelog));
  if (!store.caught_up()) {
    COHO_RETURN_IF_ERROR(replays->Follow(id(), "store " + store.options().spec.name, &store));
  }
  item->planned = true;
  item->record_bytes_max = range.record_bytes_max;
  return Status::Ok();
}

Status TaskRestore::PlanPositions(const ChangelogRange& range, Replays* replays) {
  positions_->Plan(range);
  if (!positions_->caught_up()) {
    COHO_RETURN_IF_ERROR(replays->Follow(id(), "positions", positions_.get()));
  }
  positions_planned_ = true;
  return Status::Ok();
}

Status TaskRestore::Plan(const ChangelogRanges& ranges, WallTime asked_at, ChangelogPort* port,
                         Replays* replays) {
  bool waiting = false;
  bool answered = false;
  Status why;
  const auto plan = [&](const Replayed& replayed, const std::string& name, const auto& go) {
    const auto found = ranges.find(replayed.source());
    if (found == ranges.end()) {
      waiting = true;
      return Status::Ok();
    }
    answered = true;
    Status status = found->second.status();
    if (status.ok() && !found->second->decided) {
      COHO_SOMETIMES("a restore waits for a transaction on its changelog");
      status = Unavailable("a transaction on it is not finished yet");
    }
    if (status.ok()) status = go(*found->second);
    if (!status.ok()) status = status.WithContext(name + ", topic " + replayed.source().topic);
    if (status.ok() || !MayPass(status)) return status;
    waiting = true;
    why = status;
    return Status::Ok();
  };
  for (Item& item : items_) {
    if (!item.store->options().spec.changelog || item.planned) continue;
    COHO_RETURN_IF_ERROR(plan(*item.store, "store " + item.store->options().spec.name,
                              [&](const ChangelogRange& range) {
                                return PlanStore(&item, range, asked_at, port, replays);
                              }));
  }
  // A topic that was never pinned need not be there: then the task never ran.
  if (positions_ && !positions_planned_ && options_.model->positions_topic_id.empty()) {
    const auto found = ranges.find(positions_->source());
    positions_planned_ = found != ranges.end() && found->second.status().code() == Code::kNotFound;
  }
  if (positions_ && !positions_planned_) {
    COHO_RETURN_IF_ERROR(plan(*positions_, "positions", [&](const ChangelogRange& range) {
      return PlanPositions(range, replays);
    }));
  }
  if (!waiting) {
    phase_ = Phase::kReplaying;
  } else if (answered) {
    const Duration wait = backoff_.Next();
    retry_at_ = options_.clock->Now() + wait;
    if (wait >= kBackoffLogged)
      LogWarn("a restore waits for Kafka", {{"task", id()}, {"error", why}});
  }
  return Status::Ok();
}

bool TaskRestore::caught_up() const {
  return (!positions_ || positions_->caught_up()) &&
         std::all_of(items_.begin(), items_.end(),
                     [](const Item& item) { return item.store->caught_up(); });
}

std::optional<Positions> TaskRestore::FindPositions() const {
  if (positions_) return positions_->positions();
  for (const Item& item : items_) {
    if (item.store->options().spec.name == source_.store && !item.store->positions().empty())
      return item.store->positions();
  }
  return std::nullopt;
}

void TaskRestore::LogRestored(const StoreRestore& store) const {
  const RestorePlan& plan = store.plan();
  const std::chrono::duration<double> took = options_.clock->Now() - began_at_;
  // After a clean stop nothing but the end of its last transaction lies behind the marker.
  const bool only_control_records =
      plan.mode == RestoreMode::kReplayFromMarker && store.records() == 0;
  const std::string_view reason =
      only_control_records ? "the store is at the changelog's end" : plan.reason;
  LogInfo("store restored", {{"task", id()},
                             {"store", store.options().spec.name},
                             {"mode", RestoreModeName(plan.mode)},
                             {"reason", reason},
                             {"records", store.records()},
                             {"of", plan.to - plan.from},
                             {"changelog", store.changelog().end - store.changelog().begin},
                             {"bytes", store.bytes()},
                             {"seconds", took.count()}});
}

Status TaskRestore::WriteMarkers(RestoredTask* restored) {
  for (Item& item : items_) {
    StoreRestore& store = *item.store;
    const std::string name = "store " + store.options().spec.name;
    if (!item.planned) {
      COHO_RETURN_IF_ERROR(
          store.Plan({.asked_at = options_.clock->WallNow(), .positions = restored->positions})
              .WithContext(name));
      item.planned = true;
    }
    const std::string found =
        restored->positions || source_.topic.empty() ? std::string() : store.StateFound();
    if (!found.empty()) {
      restored->state_without_positions +=
          (restored->state_without_positions.empty() ? "" : "; ") + name + ": " + found;
    }
    // Where the task's positions are found nowhere, its start is refused, and what a marker says
    // stays: it is needed once somebody has brought them back.
    const Positions& at = restored->positions ? *restored->positions : store.positions();
    const Status written = store.WriteMarker(at);
    if (written.code() == Code::kCorruption && !std::exchange(item.distrusted, true)) {
      store.Distrust(written);
      item.planned = false;
      phase_ = Phase::kPlanning;
    }
    COHO_RETURN_IF_ERROR(written.WithContext(name));
  }
  return Status::Ok();
}

Result<RestoredTask> TaskRestore::Finish() {
  RestoredTask restored{.task = id()};
  restored.positions = FindPositions();
  COHO_RETURN_IF_ERROR(WriteMarkers(&restored));
  for (Item& item : items_) {
    StoreRestore& store = *item.store;
    auto home =
        store.Finish({.budget = options_.overlays, .record_bytes_max = item.record_bytes_max});
    LogRestored(store);
    restored.stores.push_back(std::move(home));
    restored.source = std::max(restored.source, SourceOf(store));
    restored.records += store.records();
  }
  return restored;
}

TaskRestore::Advance TaskRestore::TakeAdvance() {
  Advance sum;
  for (const Item& item : items_) {
    sum.records += item.store->records();
    sum.bytes += item.store->bytes();
    sum.wipes += item.store->wiped() ? 1 : 0;
  }
  const Advance since{sum.records - taken_.records, sum.bytes - taken_.bytes,
                      sum.wipes - taken_.wipes};
  taken_ = sum;
  if (request_.progress) {
    request_.progress->records_total = offsets_total();
    request_.progress->records_done = offsets_done();
    request_.progress->bytes_done = sum.bytes;
  }
  return since;
}

int64_t TaskRestore::offsets_done() const {
  int64_t sum = 0;
  for (const Item& item : items_) sum += item.store->position() - item.store->plan().from;
  return sum;
}

int64_t TaskRestore::offsets_total() const {
  int64_t sum = 0;
  for (const Item& item : items_) sum += item.store->plan().to - item.store->plan().from;
  return sum;
}

std::vector<Replayed*> TaskRestore::All() const {
  std::vector<Replayed*> all;
  for (const Item& item : items_) all.push_back(item.store.get());
  if (positions_) all.push_back(positions_.get());
  return all;
}

}  // namespace coho
