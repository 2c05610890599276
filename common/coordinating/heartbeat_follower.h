// Reads the heartbeats topics of all jobs with one consumer, and says up to when everything in them
// was read. A topic that cannot be read any more is told and let go of; the others go on.
//
// Thread rule: Turn on one thread, the rest from any.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/mailbox.h"
#include "common/base/status.h"
#include "common/coordinating/events_queue.h"
#include "common/kafka/consumer.h"

namespace coho {

class HeartbeatFollower {
 public:
  struct Options {
    std::function<Result<std::unique_ptr<kafka::Consumer>>()> open;
    // Asks where these end; OnEnds has the answer. Called within Turn, must not block.
    std::function<void(const std::vector<TopicPartition>&)> ask_ends;
    EventsQueue* events = nullptr;
    const Clock* clock = &Clock::Real();
  };
  struct Ends {  // where the topics ended at `as_of`
    MonotonicTime as_of;
    std::map<TopicPartition, int64_t> ends;
  };
  explicit HeartbeatFollower(Options options);

  void Follow(std::string topic, int64_t next) { wishes_.Post({std::move(topic), true, next}); }
  void Unfollow(std::string topic) { wishes_.Post({.topic = std::move(topic), .follow = false}); }
  void OnEnds(Ends ends) { ends_.Post(std::move(ends)); }

  // Reads what is there; waits a moment where there is nothing to do.
  void Turn();

 private:
  struct Wish {
    std::string topic;
    bool follow = false;
    int64_t next = 0;
  };
  struct Awaited {
    int64_t end = 0;
    MonotonicTime as_of;
  };
  void TakeWishes();
  [[nodiscard]] bool IsOpen();
  void OpenLater(const Status& why);
  void Read();
  void NoteEnds();

  const Options options_;
  Mailbox<Wish> wishes_;
  Mailbox<Ends> ends_;
  // The turning thread's own.
  std::unique_ptr<kafka::Consumer> consumer_;
  kafka::RecordBatch batch_{512};
  std::map<std::string, int64_t> followed_;  // topic -> next offset
  std::map<std::string, Awaited> awaited_;   // by topic
  Backoff open_retry_;
  MonotonicTime open_at_;
  MonotonicTime ask_ends_at_;
};

}  // namespace coho
