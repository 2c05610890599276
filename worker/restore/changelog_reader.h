// Reads changelogs for stores that come home: their ranges, how long they keep tombstones, and their committed records, all
// stores side by side on one consumer. Connections are made when first needed and let go by Close.
//
// Thread-compatible.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/kafka/admin.h"
#include "common/kafka/config.h"
#include "common/kafka/consumer.h"
#include "worker/restore/store_restore.h"

namespace coho {

class ChangelogReader {
 public:
  ChangelogReader(kafka::ClientConfig config, std::string group)
      : config_(std::move(config)), group_(std::move(group)) {}

  // Begin and end of what was ever written there. nullopt: a transaction of a former owner is not finished yet, ask again
  // soon. (Its records would be missed: a commit is acknowledged before its changelog records can be read.)
  [[nodiscard]] Result<std::optional<kafka::OffsetRange>> Range(const TopicPartition& partition);
  [[nodiscard]] Result<Duration> DeleteRetention(const std::string& topic);

  // Feeds the store from its position() until it is caught up. It outlives that, or is removed.
  [[nodiscard]] Status Follow(StoreRestore* store);
  void Remove(const std::vector<StoreRestore*>& stores);

  // Waits for records and hands them to their stores. A store that turns out to be corrupt, or too old, starts over. Stores whose
  // engine failed are removed and reported; the Status is of the consumer, with which all is lost.
  struct Failure {
    StoreRestore* store = nullptr;
    Status status;
  };
  [[nodiscard]] Status Poll(Duration timeout, std::vector<Failure>* failures);

  void Close();

 private:
  struct Followed {
    StoreRestore* store = nullptr;
    std::string_view start_over = {};  // why; the rest of the batch is not for it
    Status failed = {};
  };
  [[nodiscard]] Status Connect();
  [[nodiscard]] Followed* Find(const kafka::Record& record);
  void Take(const kafka::Record& record, Followed* followed);
  [[nodiscard]] Status StartOver(const TopicPartition& partition, Followed* followed);

  const kafka::ClientConfig config_;
  const std::string group_;
  std::unique_ptr<kafka::Consumer> committed_;    // read_committed
  std::unique_ptr<kafka::Consumer> uncommitted_;  // only asked for ends
  std::unique_ptr<kafka::Admin> admin_;
  std::unique_ptr<kafka::RecordBatch> batch_;
  std::map<std::string, Duration> retention_;
  std::map<TopicPartition, Followed> followed_;
  // Finds what a record belongs to without comparing names.
  std::map<std::pair<const void*, int32_t>, Followed*> by_handle_;
};

}  // namespace coho
