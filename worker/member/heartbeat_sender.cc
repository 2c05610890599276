#include "worker/member/heartbeat_sender.h"

#include <utility>

#include "common/base/log.h"

namespace coho {
namespace {

// Heartbeats that wait for a broker that is away; then the producer is made anew and they are forgotten: only the latest
// would still be of use.
constexpr size_t kUnderWayMax = 32;

}  // namespace

HeartbeatSender::HeartbeatSender(kafka::ClientConfig config, std::string topic)
    : config_(std::move(config)), topic_name_(std::move(topic)) {}

Status HeartbeatSender::TrySend(const Heartbeat& heartbeat, MonotonicTime now) {
  if (under_way_.size() >= kUnderWayMax) {
    producer_.reset();
    under_way_.clear();
  }
  if (!producer_) {
    COHO_ASSIGN_OR_RETURN(producer_,
                          kafka::Producer::Create(
                              config_, {.linger = Duration::zero(), .queued_bytes_max = 4 << 20}));
    COHO_ASSIGN_OR_RETURN(topic_, producer_->OpenTopic(topic_name_));
  }
  const TopicRecord record = EncodeHeartbeat(heartbeat);
  under_way_.push_back({.sent_at = now});
  Status status =
      producer_->Send(topic_, kafka::Producer::kByKey, {.key = record.key, .value = record.value},
                      &under_way_.back().slot);
  if (!status.ok()) under_way_.pop_back();
  return status;
}

void HeartbeatSender::Send(const Heartbeat& heartbeat, MonotonicTime now) {
  const Status status = TrySend(heartbeat, now);
  const bool silent = !status.ok() || under_way_.size() > kUnderWayMax / 4;
  if (silent && !silent_) {
    LogWarn("heartbeats do not reach Kafka",
            {{"topic", topic_name_}, {"under_way", under_way_.size()}, {"reason", status}});
  } else if (!silent && silent_ && under_way_.size() <= 2) {
    LogInfo("heartbeats reach Kafka again", {{"topic", topic_name_}});
  } else {
    return;
  }
  silent_ = silent;
}

std::optional<MonotonicTime> HeartbeatSender::TakeAcknowledged() {
  if (!producer_) return std::nullopt;
  producer_->Poll(Duration::zero());
  std::optional<MonotonicTime> latest;
  while (!under_way_.empty() && under_way_.front().slot.last_offset >= 0) {
    latest = under_way_.front().sent_at;
    under_way_.pop_front();
    ++acknowledged_;
  }
  return latest;
}

Status HeartbeatSender::Flush(Duration timeout) {
  return producer_ ? producer_->Flush(timeout) : Status::Ok();
}

}  // namespace coho
