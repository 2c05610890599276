#include "common/kafka/missing_offsets.h"

#include <utility>

#include "common/base/log.h"

namespace coho::kafka {
namespace {

constexpr int kQuestionTimeoutMs = 5000;

// Also where its leader is away; that a topic is gone its reader is told by itself.
bool MayPass(const Status& status) {
  return status.retry_class() == RetryClass::kRetry || status.code() == Code::kNotFound;
}

}  // namespace

void MissingOffsets::Add(const TopicPartition& partition, int64_t offset) {
  asked_.insert_or_assign(partition, Question{.offset = offset});
}

std::vector<MissingOffsets::Found> MissingOffsets::Take(rd_kafka_t* client, bool read_committed,
                                                        MonotonicTime now) {
  std::vector<Found> found;
  for (auto& [partition, question] : asked_) {
    if (!question.pending) {
      if (now < question.not_before) continue;
      auto asked = PendingRanges::Ask(client, {partition}, read_committed, kQuestionTimeoutMs);
      if (!asked.ok()) {
        found.push_back({partition, question.offset, asked.status()});
        continue;
      }
      question.pending = std::move(asked).value();
    }
    auto answer = question.pending->TakeEach(0);
    if (!answer) continue;
    question.pending.reset();
    Result<OffsetRange> range = std::move(answer->begin()->second);
    if (range.ok() || !MayPass(range.status())) {
      found.push_back({partition, question.offset, std::move(range)});
      continue;
    }
    if (question.retry.failures() == 0) {
      LogWarn("an offset does not exist, and Kafka does not say yet what there is; asking again",
              {{"topic", partition.topic},
               {"partition", partition.partition},
               {"offset", question.offset},
               {"reason", range.status()}});
    }
    question.not_before = now + question.retry.Next();
  }
  for (const Found& one : found) asked_.erase(one.partition);
  return found;
}

}  // namespace coho::kafka
