#include "worker/restore/kafka_changelogs.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <set>
#include <utility>

#include "common/base/log.h"
#include "common/base/mutant.h"

namespace coho {

namespace {

constexpr size_t kBatchRecords = 4096;
constexpr int64_t kQueuedBytesMax = 32 << 20;
constexpr int64_t kQueuedBytesMin = 1 << 20;  // of a consumer that fetches nothing
constexpr Duration kRequestTimeout = std::chrono::seconds(3);
constexpr Duration kDefaultDeleteRetention = std::chrono::hours(24);  // Kafka's own default
// librdkafka's default of message.max.bytes, and what it counts for the framing of one record.
constexpr int64_t kProducersDefault = 1'000'000;
constexpr int64_t kRecordFrame = 36;
constexpr int64_t kBatchFrame = 61;  // a broker's limit is of the batch

Result<int64_t> NumberOf(const std::string& topic, const kafka::Admin::Config& config,
                         const std::string& name, int64_t otherwise) {
  const auto found = config.find(name);
  if (found == config.end()) return otherwise;
  int64_t number = 0;
  const std::string& text = found->second;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc())
    return Internal("topic " + topic + ": " + name + " is \"" + text + "\"");
  return number;
}

// Of key and value together, as the run loops' producers have it.
int64_t ProducersMost(const kafka::ClientConfig& config) {
  int64_t most = kProducersDefault;
  for (const auto* properties : {&config.properties, &config.secrets}) {
    if (const auto found = properties->find("message.max.bytes"); found != properties->end())
      most = std::atoll(found->second.c_str());  // librdkafka has checked it
  }
  return most - kRecordFrame;
}

// A topic that was just created is not known to every broker at once.
bool MayPass(const Status& status) {
  return status.code() == Code::kUnavailable || status.code() == Code::kDeadlineExceeded ||
         status.code() == Code::kNotFound;
}

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
  asking_settings_ = false;
  settings_.clear();
  all_.reset();
}

Status KafkaChangelogs::AskRanges(const std::vector<TopicPartition>& partitions) {
  COHO_RETURN_IF_ERROR(Connect());
  all_.reset();
  COHO_RETURN_IF_ERROR(AskSettings(partitions));
  return uncommitted_->AskRanges(partitions, kRequestTimeout);
}

Status KafkaChangelogs::AskSettings(const std::vector<TopicPartition>& partitions) {
  asking_settings_ = false;
  std::set<std::string> unknown;
  for (const TopicPartition& partition : partitions) {
    if (!settings_.contains(partition.topic)) unknown.insert(partition.topic);
  }
  if (unknown.empty()) return Status::Ok();
  if (!admin_) {
    COHO_ASSIGN_OR_RETURN(admin_, kafka::Admin::Create(config_));
  }
  asking_settings_ = true;
  return admin_->AskTopicConfigs({unknown.begin(), unknown.end()}, kRequestTimeout);
}

bool KafkaChangelogs::TakeSettings() {
  if (!asking_settings_) return true;
  const auto answer = admin_->TakeTopicConfigs();
  if (!answer) return false;
  asking_settings_ = false;
  for (const auto& [topic, config] : *answer) {
    const auto known =
        config.ok() ? SettingsFrom(topic, *config) : Result<Settings>(config.status());
    settings_.insert_or_assign(topic, known);
    if (known.ok() || MayPass(known.status())) continue;
    LogWarn("a changelog's configuration cannot be read: values are limited by the producer alone",
            {{"topic", topic}, {"reason", known.status()}});
  }
  return true;
}

Result<KafkaChangelogs::Settings> KafkaChangelogs::SettingsFrom(
    const std::string& topic, const kafka::Admin::Config& config) const {
  Settings settings;
  const auto day = std::chrono::duration_cast<std::chrono::milliseconds>(kDefaultDeleteRetention);
  COHO_ASSIGN_OR_RETURN(const int64_t ms,
                        NumberOf(topic, config, "delete.retention.ms", day.count()));
  // Longer than a Duration can say is for ever.
  const auto ms_max = std::chrono::duration_cast<std::chrono::milliseconds>(Duration::max() / 4);
  settings.delete_retention = std::min(std::chrono::milliseconds(ms), ms_max);
  const int64_t producers = ProducersMost(config_);
  COHO_ASSIGN_OR_RETURN(const int64_t topics, NumberOf(topic, config, "max.message.bytes",
                                                       producers + kRecordFrame + kBatchFrame));
  settings.record_bytes_max = std::min(topics - kRecordFrame - kBatchFrame, producers);
  return settings;
}

Result<ChangelogRange> KafkaChangelogs::Settled(const TopicPartition& partition,
                                                ChangelogRange range) const {
  range.record_bytes_max = ProducersMost(config_);
  const auto known = settings_.find(partition.topic);
  if (known == settings_.end()) return range;
  if (known->second.ok()) {
    range.record_bytes_max = known->second->record_bytes_max;
  } else if (MayPass(known->second.status())) {
    return known->second.status();
  }
  return range;
}

// First the high watermarks, then the stable ends: the other way round, a transaction that ends in
// between would be missed.
std::optional<ChangelogRanges> KafkaChangelogs::TakeRanges() {
  if (!TakeSettings()) return std::nullopt;
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
      known =
          Settled(partition,
                  {.begin = range->begin, .end = range->end, .decided = range->end >= known->end});
    }
  }
  // Asked again with the next question.
  std::erase_if(settings_, [](const auto& item) { return MayPass(item.second.status()); });
  return std::exchange(all_, std::nullopt);
}

Result<Duration> KafkaChangelogs::DeleteRetention(const std::string& topic) {
  const auto known = settings_.find(topic);
  if (known == settings_.end()) return Unavailable("the topic's configuration is not known yet");
  COHO_RETURN_IF_ERROR(known->second.status());
  return known->second->delete_retention;
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
