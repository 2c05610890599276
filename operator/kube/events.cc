#include "operator/kube/events.h"

#include <cstdio>
#include <utility>

#include "common/base/guarded.h"
#include "common/base/log.h"
#include "operator/kube/time.h"

namespace coho::kube {
namespace {

constexpr size_t kLongestQueue = 1000;
constexpr size_t kLongestNote = 1024;
constexpr int kTries = 3;
constexpr Duration kPauseBetweenTries = std::chrono::seconds(2);
constexpr Duration kLookAtCountsEvery = std::chrono::seconds(5);
constexpr Duration kStopWithin = std::chrono::seconds(5);
constexpr char kController[] = "coho-operator";

const ResourceType& EventType() {
  static const ResourceType kType{
      .group = "events.k8s.io", .version = "v1", .plural = "events", .kind = "Event"};
  return kType;
}

// Not in the middle of a character.
std::string CutNote(std::string note) {
  if (note.size() <= kLongestNote) return note;
  size_t end = kLongestNote - 3;
  while (end > 0 && (static_cast<unsigned char>(note[end]) & 0xc0) == 0x80) --end;
  note.resize(end);
  return note + "...";
}

}  // namespace

EventRecorder::EventRecorder(Api& api, const Clock& clock, std::string instance,
                             prometheus::Registry& registry)
    : api_(api),
      clock_(clock),
      instance_(std::move(instance)),
      dropped_(prometheus::BuildCounter()
                   .Name("coho_operator_events_dropped_total")
                   .Help("Events not written: too many for one object, a full queue, or refused by "
                         "the API server.")
                   .Register(registry)
                   .Add({})) {}

EventRecorder::~EventRecorder() { Stop(); }

void EventRecorder::Start() {
  thread_ = std::thread([this] { Run(); });
}

void EventRecorder::Record(Event event) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    if (queue_.size() >= kLongestQueue) {
      dropped_.Increment();
      return;
    }
    queue_.push_back({.event = std::move(event), .wall = clock_.WallNow(), .at = clock_.Now()});
  }
  changed_.notify_one();
}

void EventRecorder::Stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void EventRecorder::Run() {
  std::optional<MonotonicTime> stop_by;
  while (true) {
    Queued next;
    {
      std::unique_lock lock(mutex_);
      const auto ready = [this] { return stopping_ || !queue_.empty(); };
      if (series_.has_pending()) {
        changed_.wait_for(lock, kLookAtCountsEvery, ready);
      } else {
        changed_.wait(lock, ready);
      }
      if (stopping_ && !stop_by) stop_by = clock_.Now() + kStopWithin;
      if (stop_by && (queue_.empty() || clock_.Now() >= *stop_by)) return;
      if (!queue_.empty()) {
        next = std::move(queue_.front());
        queue_.pop_front();
      }
    }
    // An answer that brings down its reader must not bring down the process: the event is given up.
    const Status status = Guarded([&] {
      if (!next.event.reason.empty()) Write(next);
      WriteCounts();
      return Status::Ok();
    });
    if (status.ok()) continue;
    dropped_.Increment();
    LogError("an event failed by an exception, it is not written", {{"error", status.message()}});
  }
}

std::string EventRecorder::NewName(const Queued& queued) {
  char suffix[40];
  std::snprintf(suffix, sizeof suffix, ".%llx.%llx",
                static_cast<unsigned long long>(queued.wall.time_since_epoch().count()),
                static_cast<unsigned long long>(sequence_++));
  return queued.event.about.name + suffix;
}

Json EventRecorder::Encode(const Queued& queued, const std::string& name) const {
  const Event& event = queued.event;
  const EventSubject& about = event.about;
  return {{"apiVersion", ApiVersion(EventType())},
          {"kind", EventType().kind},
          {"metadata", {{"name", name}, {"namespace", about.ns}}},
          {"eventTime", FormatMicroTime(queued.wall)},
          {"reportingController", kController},
          {"reportingInstance", instance_.substr(0, 128)},
          {"action", event.action.empty() ? "Reconcile" : event.action},
          {"reason", event.reason},
          {"type", event.warning ? "Warning" : "Normal"},
          {"note", CutNote(event.note)},
          {"regarding",
           {{"apiVersion", about.api_version},
            {"kind", about.kind},
            {"namespace", about.ns},
            {"name", about.name},
            {"uid", about.uid}}}};
}

void EventRecorder::Write(const Queued& queued) {
  const Event& event = queued.event;
  const std::string name = NewName(queued);
  const EventKind kind{.ns = event.about.ns,
                       .object = event.about.uid,
                       .warning = event.warning,
                       .reason = event.reason,
                       .action = event.action};
  switch (series_.Record(kind, event.note, name, queued.at, queued.wall)) {
    case EventVerdict::kCounted:
      return;
    case EventVerdict::kDropped:
      dropped_.Increment();
      return;
    case EventVerdict::kCreate:
      break;
  }
  const Json object = Encode(queued, name);
  Status status;
  for (int i = 0; i < kTries; ++i) {
    status = api_.Create(EventType(), event.about.ns, object).status();
    if (status.ok() || status.code() != Code::kUnavailable) break;
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kPauseBetweenTries, [this] { return stopping_; });
  }
  if (!status.ok()) {
    dropped_.Increment();
    LogWarn("event not written",
            {{"reason", event.reason}, {"note", event.note}, {"error", status}});
  }
}

void EventRecorder::WriteCounts() {
  for (const SeriesUpdate& update : series_.DueUpdates(clock_.Now())) {
    const Json patch = {
        {"series",
         {{"count", update.count}, {"lastObservedTime", FormatMicroTime(update.last_observed)}}}};
    const Result<Json> patched = api_.Patch(EventType(), {update.ns, update.event_name}, patch);
    // The event itself lives for an hour only, and its namespace may be gone.
    if (!patched.ok()) {
      LogDebug("event series not written",
               {{"event", update.event_name}, {"error", patched.status()}});
    }
  }
}

}  // namespace coho::kube
