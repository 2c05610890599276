#include "worker/restore/task_restore.h"

#include <algorithm>

#include "common/base/log.h"

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

TaskRestore::TaskRestore(const Restorer::Options& options, RestoreRequest request)
    : options_(options),
      request_(std::move(request)),
      began_at_(options.clock->Now()),
      backoff_(kBackoffMin) {
  for (const StoreSpec& spec : options.job->stores) {
    StoreRestore::Options store{.job_id = options.job->id.ToString(),
                                .spec = spec,
                                .task = request_.task,
                                .engines = options.engines};
    if (spec.changelog) {
      const auto pinned = options.model->stores.find(spec.name);
      store.changelog_topic = pinned != options.model->stores.end()
                                  ? pinned->second.changelog
                                  : options.job->ChangelogTopic(spec.name);
    }
    items_.push_back({.store = std::make_unique<StoreRestore>(std::move(store))});
  }
}

Status TaskRestore::AskKafka(ChangelogReader* reader, Item* item,
                             StoreRestore::Changelog* changelog) {
  const StoreRestore& store = *item->store;
  const std::string& topic = store.options().changelog_topic;
  changelog->asked_at = options_.clock->WallNow();
  COHO_ASSIGN_OR_RETURN(const auto range, reader->Range({topic, id().value()}));
  if (!range) return Unavailable("a transaction on the changelog is not finished yet");
  changelog->begin = range->begin;
  changelog->end = range->end;
  if (store.NeedsRetention(range->end)) {
    COHO_ASSIGN_OR_RETURN(changelog->delete_retention, reader->DeleteRetention(topic));
  }
  return Status::Ok();
}

// Retriable failures are of Kafka's; those of the disk come back as they are and end the restore.
Status TaskRestore::PrepareStore(Item* item, ChangelogReader* reader) {
  StoreRestore& store = *item->store;
  const std::string name = "store " + store.options().spec.name;
  if (!item->opened) {
    COHO_RETURN_IF_ERROR(store.Open());
    item->opened = true;
  }
  StoreRestore::Changelog changelog{.asked_at = options_.clock->WallNow()};
  if (store.options().spec.changelog) {
    const Status asked = AskKafka(reader, item, &changelog);
    const MonotonicTime now = options_.clock->Now();
    const bool retry = asked.code() == Code::kUnavailable ||
                       asked.code() == Code::kDeadlineExceeded ||
                       (asked.code() == Code::kNotFound && now - began_at_ < kMissingTopicGrace);
    if (!asked.ok() && !retry)
      return asked.WithContext(name + ", changelog " + store.options().changelog_topic);
    if (!asked.ok()) {
      retry_at_ = std::max(retry_at_, now + backoff_);
      if (backoff_ >= kBackoffLogged) {
        LogWarn("a restore waits for Kafka",
                {{"task", id()}, {"store", store.options().spec.name}, {"error", asked}});
      }
      return Status::Ok();
    }
  }
  COHO_RETURN_IF_ERROR(store.Plan(changelog));
  item->planned = true;
  return store.caught_up() ? Status::Ok() : reader->Follow(&store);
}

Status TaskRestore::Prepare(ChangelogReader* reader) {
  bool waiting = false;
  for (Item& item : items_) {
    if (!item.planned) COHO_RETURN_IF_ERROR(PrepareStore(&item, reader));
    waiting = waiting || !item.planned;
  }
  if (waiting) {
    backoff_ = std::min(backoff_ * 2, kBackoffMax);
  } else {
    phase_ = Phase::kReplaying;
  }
  return Status::Ok();
}

bool TaskRestore::caught_up() const {
  return std::all_of(items_.begin(), items_.end(),
                     [](const Item& item) { return item.store->caught_up(); });
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

Result<RestoredTask> TaskRestore::Finish() {
  RestoredTask restored{.task = id()};
  for (Item& item : items_) {
    StoreRestore& store = *item.store;
    COHO_ASSIGN_OR_RETURN(auto home, store.Finish(options_.overlay_bytes_max));
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

std::vector<StoreRestore*> TaskRestore::Stores() const {
  std::vector<StoreRestore*> stores;
  for (const Item& item : items_) stores.push_back(item.store.get());
  return stores;
}

}  // namespace coho
