// The restorer's port to Kafka. Connections are made when first needed and let go by Close. With
// the ranges of partitions go the configurations of topics that are not known yet, all in one
// request: whether local state can be trusted, and how large a record may be.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/kafka/admin.h"
#include "common/kafka/config.h"
#include "common/kafka/consumer.h"
#include "worker/restore/changelog_port.h"

namespace coho {

class KafkaChangelogs final : public ChangelogPort {
 public:
  KafkaChangelogs(kafka::ClientConfig config, std::string group)
      : config_(std::move(config)), group_(std::move(group)) {}

  [[nodiscard]] Status AskRanges(const std::vector<TopicPartition>& partitions) override;
  [[nodiscard]] std::optional<ChangelogRanges> TakeRanges() override;
  [[nodiscard]] Result<Duration> DeleteRetention(const std::string& topic) override;
  [[nodiscard]] Status Assign(const std::map<TopicPartition, int64_t>& positions) override;
  [[nodiscard]] Status Unassign(const std::vector<TopicPartition>& partitions) override;
  [[nodiscard]] Status Poll(Duration timeout, std::span<const kafka::Record>* records) override;
  void Release() override;
  void Close() override;

 private:
  // What a topic's configuration says to a restore and to the stores it hands over.
  struct Settings {
    Duration delete_retention{};
    int64_t record_bytes_max = 0;
  };
  [[nodiscard]] Status Connect();
  [[nodiscard]] Status AskSettings(const std::vector<TopicPartition>& partitions);
  // False: no answer yet.
  [[nodiscard]] bool TakeSettings();
  [[nodiscard]] Result<Settings> SettingsFrom(const std::string& topic,
                                              const kafka::Admin::Config& config) const;
  [[nodiscard]] Result<ChangelogRange> Settled(const TopicPartition& partition,
                                               ChangelogRange range) const;

  const kafka::ClientConfig config_;
  const std::string group_;
  std::unique_ptr<kafka::Consumer> committed_;    // read_committed
  std::unique_ptr<kafka::Consumer> uncommitted_;  // only asked for ends
  std::unique_ptr<kafka::Admin> admin_;
  std::unique_ptr<kafka::RecordBatch> batch_;
  bool asking_settings_ = false;
  // By topic; an error: Kafka does not tell them to us, and is not asked again.
  std::map<std::string, Result<Settings>> settings_;
  uint64_t lost_before_ = 0;
  // Of a question: what the uncommitted consumer said, while the committed one is asked.
  std::optional<ChangelogRanges> all_;
};

}  // namespace coho
