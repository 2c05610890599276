#include "worker/restore/store_restore.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "common/base/crash_point.h"
#include "common/base/log.h"
#include "worker/store/changelog_key.h"
#include "worker/store/value_format.h"

namespace coho {

namespace {

constexpr int64_t kWriteBytesMax = 4 << 20;
constexpr size_t kWriteRecordsMax = 4096;

}  // namespace

StoreMarker StoreRestore::Marker(int64_t position, int64_t time_ms) const {
  return {.job_id = options_.job_id,
          .changelog_topic = options_.changelog_topic,
          .partition = options_.task.value(),
          .position = position,
          .commit_time_ms = time_ms,
          .changelog_topic_id = options_.changelog_topic_id,
          .kafka_cluster_id = options_.kafka_cluster_id,
          .positions = positions_};
}

Status StoreRestore::Open() {
  auto opened = options_.engines->Open(options_.spec.name, options_.task);
  Status status = opened.status();
  if (opened.ok()) {
    engine_ = std::move(opened).value();
    auto marker = engine_->ReadMarker();
    status = marker.status();
    if (marker.ok()) marker_ = std::move(marker).value();
  }
  if (status.code() != Code::kCorruption) return status;
  Distrust(status);
  return Status::Ok();
}

RestoreInput StoreRestore::Input(const Changelog& changelog) const {
  return {.job_id = options_.job_id,
          .changelog_topic = options_.changelog_topic,
          .changelog_topic_id = options_.changelog_topic_id,
          .kafka_cluster_id = options_.kafka_cluster_id,
          .partition = options_.task.value(),
          .transactional = options_.transactional,
          .marker = marker_,
          .corrupt = corrupt_,
          .begin = changelog.begin,
          .end = changelog.end,
          .delete_retention = changelog.delete_retention,
          .now = changelog.asked_at,
          .positions = changelog.positions};
}

bool StoreRestore::NeedsRetention(const Changelog& changelog) const {
  return coho::NeedsRetention(Input(changelog));
}

Status StoreRestore::Plan(const Changelog& changelog) {
  const RestorePlan plan = PlanRestore(Input(changelog));
  changelog_ = changelog;
  switch (plan.mode) {
    case RestoreMode::kRefuse:
      return Refused(plan, changelog);
    case RestoreMode::kWipeAndReplay:
      return StartOver(plan.reason);
    case RestoreMode::kUseLocal:
    case RestoreMode::kReplayFromMarker:
      break;
  }
  CrashPoint("restore/planned");
  plan_ = plan;
  if (marker_) positions_ = marker_->positions;
  position_ = plan_.from;
  marker_time_ms_ = marker_ ? marker_->commit_time_ms : ToUnixMillis(changelog.asked_at);
  return Status::Ok();
}

Status StoreRestore::Refused(const RestorePlan& plan, const Changelog& changelog) const {
  const auto id = [](const std::string& text) { return text.empty() ? "unknown" : text; };
  const std::string directory =
      "stores/" + options_.spec.name + "/" + ToString(options_.task) + " below the state directory";
  std::string found = std::string(plan.reason) + "; found: the store was written for job " +
                      marker_->job_id + ", with positions " + DescribePositions(marker_->positions);
  if (options_.spec.changelog) {
    found += ", at offset " + std::to_string(marker_->position) + " of topic " +
             marker_->changelog_topic + " (id " + id(marker_->changelog_topic_id) + ", cluster " +
             id(marker_->kafka_cluster_id) + "); topic " + options_.changelog_topic + " (id " +
             id(options_.changelog_topic_id) + ", cluster " + id(options_.kafka_cluster_id) +
             ") has offsets " + std::to_string(changelog.begin) + " to " +
             std::to_string(changelog.end) + " in partition " + ToString(options_.task) +
             ". Nothing was wiped, this may be the last copy. Bring the topic back with its "
             "records; or remove " +
             directory + ", to go on with what the topic has";
  } else {
    found += "; the task is at " +
             (changelog.positions ? DescribePositions(*changelog.positions) : "no positions") +
             ". Nothing was wiped, this may be the last copy. Give the job a state directory of "
             "its own; or remove " +
             directory + ", to begin with an empty store";
  }
  return InvalidArgument(std::move(found));
}

Status StoreRestore::StartOver(std::string_view reason) {
  if (marker_ || corrupt_ || records_ > 0) wiped_ = true;
  writes_.clear();
  writes_bytes_ = 0;
  positions_.clear();
  engine_.reset();
  COHO_RETURN_IF_ERROR(options_.engines->Wipe(options_.spec.name, options_.task));
  CrashPoint("restore/wiped");
  COHO_ASSIGN_OR_RETURN(engine_, options_.engines->Open(options_.spec.name, options_.task));
  plan_ = {RestoreMode::kWipeAndReplay, changelog_.begin, changelog_.end, reason};
  position_ = plan_.from;
  marker_time_ms_ = ToUnixMillis(changelog_.asked_at);
  // From now on a crash finds a marker.
  COHO_RETURN_IF_ERROR(engine_->Write({}, Marker(position_, marker_time_ms_)));
  return engine_->Flush();
}

Status StoreRestore::Add(int64_t offset, std::string_view key,
                         std::optional<std::string_view> value) {
  if (offset < position_ || offset >= plan_.to) {
    Reached(offset);
    return Status::Ok();
  }
  const auto size = static_cast<int64_t>(key.size() + (value ? value->size() : 0));
  const ChangelogKey decoded = DecodeChangelogKey(key);
  Status status;
  switch (decoded.kind) {
    case ChangelogKey::Kind::kUser:
      if (StoredValue stored; value) status = DecodeValue(*value, &stored);
      writes_.push_back(
          {.key = decoded.user, .value = value.value_or(std::string_view()), .remove = !value});
      ++records_;
      break;
    case ChangelogKey::Kind::kPositions: {
      auto positions = DecodePositionsRecord(value.value_or(std::string_view()));
      status = positions.status();
      if (positions.ok()) positions_ = std::move(positions).value();
      break;
    }
    case ChangelogKey::Kind::kUnknown:
      status = InvalidRecord("a record of the task that this version of Coho does not know");
      break;
  }
  if (!status.ok()) {
    return InvalidRecord("changelog " + options_.changelog_topic + " partition " +
                         ToString(options_.task) + " offset " + std::to_string(offset) + ": " +
                         status.message());
  }
  writes_bytes_ += size;
  bytes_ += size;
  position_ = offset + 1;
  if (writes_bytes_ < kWriteBytesMax && writes_.size() < kWriteRecordsMax) return Status::Ok();
  return Write();
}

void StoreRestore::Reached(int64_t offset) {
  position_ = std::max(position_, std::min(offset, plan_.to));
}

Status StoreRestore::Write() {
  if (writes_.empty()) return Status::Ok();
  const Status status = engine_->Write(writes_, Marker(position_, marker_time_ms_));
  CrashPoint("restore/written");
  writes_.clear();
  writes_bytes_ = 0;
  return status;
}

std::string StoreRestore::StateFound() const {
  if (marker_ && !marker_->positions.empty())
    return "it was at " + DescribePositions(marker_->positions);
  if (engine_->Range({}, {})->Valid()) return "it holds data";
  return {};
}

Status StoreRestore::WriteMarker(const Positions& positions) {
  const bool moved = !marker_ || marker_->positions != positions;
  positions_ = positions;
  const StoreMarker marker = Marker(plan_.to, ToUnixMillis(changelog_.asked_at));
  COHO_RETURN_IF_ERROR(engine_->Write({}, marker));
  const bool is_new = !marker_ || plan_.mode == RestoreMode::kWipeAndReplay;
  if (is_new || moved || records_ > 0 ||
      std::abs(marker.commit_time_ms - marker_->commit_time_ms) >= kMarkerRefreshMillis) {
    COHO_RETURN_IF_ERROR(engine_->Flush());
  }
  CrashPoint("restore/finished");
  return Status::Ok();
}

void StoreRestore::Distrust(const Status& why) {
  LogWarn(options_.spec.changelog ? "a store is corrupt; it is restored anew from its changelog"
                                  : "a store is corrupt, and has no changelog: it begins empty",
          {{"task", options_.task}, {"store", options_.spec.name}, {"error", why}});
  corrupt_ = true;
  engine_.reset();
  marker_.reset();
}

std::unique_ptr<TaskStore> StoreRestore::Finish(TaskStore::Options options) {
  options.spec = options_.spec;
  options.marker = Marker(plan_.to, ToUnixMillis(changelog_.asked_at));
  return std::make_unique<TaskStore>(std::move(options), std::move(engine_));
}

}  // namespace coho
