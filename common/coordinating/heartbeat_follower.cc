#include "common/coordinating/heartbeat_follower.h"

#include <utility>

#include "common/base/log.h"
#include "common/base/mutant.h"

namespace coho {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// How late an idle thread sees that it is to end.
constexpr Duration kIdle = milliseconds(500);
constexpr Duration kTurn = milliseconds(50);  // how late a newly followed topic is read
constexpr Duration kHearingInterval = seconds(1);
constexpr Duration kFirstRetry = milliseconds(200);
constexpr Duration kLongestRetry = seconds(5);

}  // namespace

HeartbeatFollower::HeartbeatFollower(Options options)
    : options_(std::move(options)), open_retry_(kFirstRetry, kLongestRetry) {}

void HeartbeatFollower::Turn() {
  if (followed_.empty()) wishes_.Wait(kIdle);
  TakeWishes();
  if (followed_.empty()) return;
  if (IsOpen()) {
    Read();
  } else {
    wishes_.Wait(kTurn);
  }
  NoteEnds();
  const MonotonicTime now = options_.clock->Now();
  if (now < ask_ends_at_ || followed_.empty()) return;
  ask_ends_at_ = now + kHearingInterval;
  std::vector<TopicPartition> partitions;
  for (const auto& [topic, next] : followed_) partitions.push_back({topic, 0});
  options_.ask_ends(partitions);
}

void HeartbeatFollower::TakeWishes() {
  while (auto wish = wishes_.Take()) {
    const TopicPartition partition{wish->topic, 0};
    if (followed_.erase(wish->topic) > 0 && consumer_)
      consumer_->Unassign({partition}).IgnoreError("it may have been lost before");
    if (!wish->follow) continue;
    followed_[wish->topic] = wish->next;
    if (consumer_) consumer_->Assign({{partition, wish->next}}).IgnoreError("it is not assigned");
  }
}

bool HeartbeatFollower::IsOpen() {
  if (consumer_) return true;
  if (options_.clock->Now() < open_at_) return false;
  auto opened = options_.open();
  if (!opened.ok()) {
    OpenLater(opened.status());
    return false;
  }
  consumer_ = std::move(opened).value();
  std::map<TopicPartition, int64_t> positions;
  for (const auto& [topic, next] : followed_) positions[{topic, 0}] = next;
  consumer_->Assign(positions).IgnoreError("a new consumer has no partitions");
  return true;
}

// Where it was; what fails again and again must not take a processor.
void HeartbeatFollower::OpenLater(const Status& why) {
  consumer_.reset();
  if (open_retry_.failures() == 0)
    LogWarn("heartbeats cannot be read; trying again", {{"reason", why}});
  open_at_ = options_.clock->Now() + open_retry_.Next();
}

void HeartbeatFollower::Read() {
  if (!options_.events->AwaitRoom(kTurn)) return;
  const Status status = consumer_->Poll(kTurn, &batch_);
  if (batch_.size() > 0) open_retry_.Reset();
  for (const kafka::Record& record : batch_.records()) {
    const auto next = followed_.find(std::string(record.topic()));
    if (next == followed_.end()) continue;
    next->second = record.is_end_of_partition() ? record.offset() : record.offset() + 1;
    if (record.is_end_of_partition()) continue;
    options_.events->Put(HeartbeatSeen{next->first, record.offset(), record.timestamp_ms(),
                                       std::string(record.value()), std::string(record.key())});
  }
  batch_.Clear();
  for (auto& [partition, why] : consumer_->TakeLost()) {
    if (followed_.erase(partition.topic) > 0)
      options_.events->Put(HeartbeatsLost{partition.topic, why});
  }
  if (!status.ok()) OpenLater(status);
}

// An end is waited for until it was read to, though later ones become known meanwhile: where
// reading always lags a little, the latest would never be reached, and nobody ever be heard. A
// lower one is of a topic that was made anew.
void HeartbeatFollower::NoteEnds() {
  while (auto ends = ends_.Take()) {
    for (const auto& [partition, end] : ends->ends) {
      const Awaited asked{end, ends->as_of};
      const auto [known, is_new] = awaited_.try_emplace(partition.topic, asked);
      if (!is_new && end < known->second.end) known->second = asked;
    }
  }
  std::erase_if(awaited_, [this](const auto& entry) {
    const auto at = followed_.find(entry.first);
    if (at == followed_.end()) return true;
    if (at->second < entry.second.end && !COHO_MUTANT("heard-before-read")) return false;
    options_.events->Put(HeartbeatsHeard{at->first, entry.second.as_of});
    return true;
  });
}

}  // namespace coho
