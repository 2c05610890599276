#include "worker/restore/changelog_reader.h"

#include <charconv>

namespace coho {

namespace {

constexpr size_t kBatchRecords = 4096;
constexpr int64_t kQueuedBytesMax = 32 << 20;
constexpr Duration kRequestTimeout = std::chrono::seconds(3);
constexpr Duration kDefaultDeleteRetention = std::chrono::hours(24);  // Kafka's own default

}  // namespace

Status ChangelogReader::Connect() {
  if (committed_) return Status::Ok();
  kafka::ConsumerOptions options{.group_id = group_, .queued_bytes_max = kQueuedBytesMax};
  COHO_ASSIGN_OR_RETURN(auto committed, kafka::Consumer::Create(config_, options));
  options.read_committed = false;
  COHO_ASSIGN_OR_RETURN(uncommitted_, kafka::Consumer::Create(config_, options));
  committed_ = std::move(committed);
  batch_ = std::make_unique<kafka::RecordBatch>(kBatchRecords);
  return Status::Ok();
}

void ChangelogReader::Close() {
  batch_.reset();
  committed_.reset();
  uncommitted_.reset();
  admin_.reset();
  retention_.clear();
  followed_.clear();
  by_handle_.clear();
}

Result<std::optional<kafka::OffsetRange>> ChangelogReader::Range(const TopicPartition& partition) {
  COHO_RETURN_IF_ERROR(Connect());
  COHO_ASSIGN_OR_RETURN(const kafka::OffsetRange all,
                        uncommitted_->QueryRange(partition, kRequestTimeout));
  COHO_ASSIGN_OR_RETURN(const kafka::OffsetRange stable,
                        committed_->QueryRange(partition, kRequestTimeout));
  if (stable.end < all.end) return std::optional<kafka::OffsetRange>();
  return std::optional(stable);
}

Result<Duration> ChangelogReader::DeleteRetention(const std::string& topic) {
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

Status ChangelogReader::Follow(StoreRestore* store) {
  COHO_RETURN_IF_ERROR(Connect());
  const TopicPartition partition{store->options().changelog_topic, store->options().task.value()};
  COHO_RETURN_IF_ERROR(committed_->Assign({{partition, store->position()}}));
  followed_[partition] = {.store = store};
  return Status::Ok();
}

void ChangelogReader::Remove(const std::vector<StoreRestore*>& stores) {
  std::vector<TopicPartition> gone;
  for (const StoreRestore* store : stores) {
    const TopicPartition partition{store->options().changelog_topic, store->options().task.value()};
    if (followed_.erase(partition) > 0) gone.push_back(partition);
  }
  if (gone.empty()) return;
  by_handle_.clear();
  if (committed_)
    committed_->Unassign(gone).IgnoreError("records that come nevertheless belong to nobody");
}

ChangelogReader::Followed* ChangelogReader::Find(const kafka::Record& record) {
  const auto [it, is_new] =
      by_handle_.try_emplace({record.topic_handle(), record.partition()}, nullptr);
  if (is_new) {
    const auto found = followed_.find({std::string(record.topic()), record.partition()});
    if (found != followed_.end()) it->second = &found->second;
  }
  return it->second;
}

void ChangelogReader::Take(const kafka::Record& record, Followed* followed) {
  if (!followed->start_over.empty() || !followed->failed.ok()) return;
  StoreRestore* store = followed->store;
  if (record.is_end_of_partition()) {
    store->Reached(record.offset());
  } else if (store->suspected() && record.offset() < store->plan().to) {
    followed->start_over = kReasonTooOld;
  } else {
    followed->failed =
        store->Add(record.offset(), record.key(),
                   record.is_tombstone() ? std::nullopt : std::optional(record.value()));
  }
}

Status ChangelogReader::StartOver(const TopicPartition& partition, Followed* followed) {
  COHO_RETURN_IF_ERROR(followed->store->StartOver(followed->start_over));
  followed->start_over = {};
  COHO_RETURN_IF_ERROR(committed_->Unassign({partition}));
  return committed_->Assign({{partition, followed->store->position()}});
}

Status ChangelogReader::Poll(Duration timeout, std::vector<Failure>* failures) {
  COHO_RETURN_IF_ERROR(committed_->Poll(timeout, batch_.get()));
  for (size_t i = 0; i < batch_->size(); ++i) {
    const kafka::Record record = (*batch_)[i];
    if (Followed* followed = Find(record)) Take(record, followed);
  }
  std::vector<StoreRestore*> finished;
  for (auto& [partition, followed] : followed_) {
    if (followed.failed.ok() && followed.start_over.empty())
      followed.failed = followed.store->Write();
    if (followed.failed.code() == Code::kCorruption) {
      followed.failed = Status::Ok();
      followed.start_over = "the store is corrupt";
    }
    if (!followed.start_over.empty()) followed.failed = StartOver(partition, &followed);
    if (!followed.failed.ok()) {
      failures->push_back({followed.store, followed.failed});
      finished.push_back(followed.store);
    } else if (followed.store->caught_up()) {
      finished.push_back(followed.store);
    }
  }
  batch_->Clear();
  Remove(finished);
  return Status::Ok();
}

}  // namespace coho
