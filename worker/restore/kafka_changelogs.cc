#include "worker/restore/kafka_changelogs.h"

#include <charconv>
#include <utility>

#include "common/base/mutant.h"

namespace coho {

namespace {

constexpr size_t kBatchRecords = 4096;
constexpr int64_t kQueuedBytesMax = 32 << 20;
constexpr int64_t kQueuedBytesMin = 1 << 20;  // of a consumer that fetches nothing
constexpr Duration kRequestTimeout = std::chrono::seconds(3);
constexpr Duration kDefaultDeleteRetention = std::chrono::hours(24);  // Kafka's own default

}  // namespace

Status KafkaChangelogs::Connect() {
  if (committed_) return Status::Ok();
  kafka::ConsumerOptions options{.group_id = group_, .queued_bytes_max = kQueuedBytesMax};
  COHO_ASSIGN_OR_RETURN(auto committed, kafka::Consumer::Create(config_, options));
  options.read_committed = false;
  options.queued_bytes_max = kQueuedBytesMin;
  COHO_ASSIGN_OR_RETURN(uncommitted_, kafka::Consumer::Create(config_, options));
  committed_ = std::move(committed);
  batch_ = std::make_unique<kafka::RecordBatch>(kBatchRecords);
  lost_before_ = 0;
  return Status::Ok();
}

void KafkaChangelogs::Close() {
  batch_.reset();
  committed_.reset();
  uncommitted_.reset();
  admin_.reset();
  retention_.clear();
  all_.reset();
}

Status KafkaChangelogs::AskRanges(const std::vector<TopicPartition>& partitions) {
  COHO_RETURN_IF_ERROR(Connect());
  all_.reset();
  return uncommitted_->AskRanges(partitions, kRequestTimeout);
}

// First the high watermarks, then the stable ends: the other way round, a transaction that ends in
// between would be missed.
std::optional<ChangelogRanges> KafkaChangelogs::TakeRanges() {
  if (!all_) {
    const auto answer = uncommitted_->TakeEachRange();
    if (!answer) return std::nullopt;
    all_.emplace();
    std::vector<TopicPartition> known;
    for (const auto& [partition, range] : *answer) {
      if (!range.ok()) {
        all_->emplace(partition, range.status());
        continue;
      }
      all_->emplace(partition, ChangelogRange{.begin = range->begin, .end = range->end});
      known.push_back(partition);
    }
    if (known.empty()) return std::exchange(all_, std::nullopt);
    if (const Status asked = committed_->AskRanges(known, kRequestTimeout); !asked.ok()) {
      for (const TopicPartition& partition : known) all_->at(partition) = asked;
      return std::exchange(all_, std::nullopt);
    }
  }
  const auto stable = committed_->TakeEachRange();
  if (!stable) return std::nullopt;
  for (const auto& [partition, range] : *stable) {
    Result<ChangelogRange>& known = all_->at(partition);
    if (!range.ok()) {
      known = range.status();
    } else {
      known = ChangelogRange{
          .begin = range->begin, .end = range->end, .decided = range->end >= known->end};
    }
  }
  return std::exchange(all_, std::nullopt);
}

Result<Duration> KafkaChangelogs::DeleteRetention(const std::string& topic) {
  if (const auto known = retention_.find(topic); known != retention_.end()) return known->second;
  if (!admin_) {
    COHO_ASSIGN_OR_RETURN(admin_, kafka::Admin::Create(config_));
  }
  COHO_ASSIGN_OR_RETURN(const auto config, admin_->TopicConfig(topic, kRequestTimeout));
  Duration retention = kDefaultDeleteRetention;
  if (const auto found = config.find("delete.retention.ms"); found != config.end()) {
    int64_t ms = 0;
    const std::string& text = found->second;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), ms);
    if (parsed.ec != std::errc())
      return Internal("topic " + topic + ": delete.retention.ms is \"" + text + "\"");
    // Longer than a Duration can say is for ever.
    const auto ms_max = std::chrono::duration_cast<std::chrono::milliseconds>(Duration::max() / 4);
    retention = std::min(std::chrono::milliseconds(ms), ms_max);
  }
  retention_[topic] = retention;
  return retention;
}

Status KafkaChangelogs::Assign(const std::map<TopicPartition, int64_t>& positions) {
  COHO_RETURN_IF_ERROR(Connect());
  return committed_->Assign(positions);
}

Status KafkaChangelogs::Unassign(const std::vector<TopicPartition>& partitions) {
  return committed_ ? committed_->Unassign(partitions) : Status::Ok();
}

Status KafkaChangelogs::Poll(Duration timeout, std::span<const kafka::Record>* records) {
  *records = {};
  COHO_RETURN_IF_ERROR(Connect());
  COHO_RETURN_IF_ERROR(committed_->Poll(timeout, batch_.get()));
  if (std::exchange(lost_before_, committed_->records_lost()) != committed_->records_lost()) {
    COHO_SOMETIMES("records of a changelog were deleted while it was replayed");
    return Unavailable("records of a changelog were deleted while it was replayed");
  }
  *records = batch_->records();
  return Status::Ok();
}

void KafkaChangelogs::Release() {
  if (batch_) batch_->Clear();
}

}  // namespace coho
