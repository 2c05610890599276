// ClusterPort over librdkafka. However many jobs: one writer, one follower of heartbeats, and a
// small pool of threads for what takes time, each with an admin client and a reader that it opens
// when it first needs them.
//
// Thread rule: as ClusterPort. The destructor waits for what is under way, a second or so: calls
// that wait for Kafka give up.
#pragma once

#include <functional>
#include <memory>

#include "common/coordinating/cluster_port.h"
#include "common/kafka/config.h"

namespace coho {

class KafkaCluster final : public ClusterPort {
 public:
  // `may_write` is asked right before topics are made, ids are fenced and records are written and
  // committed; false: it is not done. From several threads. Empty: always.
  KafkaCluster(kafka::ClientConfig config, int threads, std::function<bool()> may_write = {});
  ~KafkaCluster() override;
  KafkaCluster(const KafkaCluster&) = delete;
  KafkaCluster& operator=(const KafkaCluster&) = delete;

  void Ask(RequestId id, ClusterRequest request) override;
  [[nodiscard]] std::vector<ClusterEvent> Take(Duration timeout, size_t most) override;
  void Wake() override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace coho
