// By what a member reaches Kafka: the coordinator topic, which it follows, and the heartbeats
// topic, to which it reports. No client shows here, so that a simulation runs the member over a
// Kafka in memory, turn by turn.
//
// Every call comes back; those that ask the broker have a time-out and say kUnavailable or
// kDeadlineExceeded, and the member asks again in a later turn. Codes otherwise: kNotFound (no such
// topic), kUnauthenticated; the rest ends the worker.
//
// Thread rule: the member's thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/model/assignment.h"

namespace coho {

// Where a topic ends: what is decided, and what has been written. They differ while a transaction
// is open, or has been committed and its marker is not in the log yet.
struct LogEnds {
  int64_t stable = 0;
  int64_t high = 0;
};

struct LogRecord {
  TopicRecord record;
  int64_t offset = 0;
};

class CoordinatorLog {
 public:
  virtual ~CoordinatorLog() = default;
  // The job's own topics exist. Sending to one before would make the broker create it with settings
  // of its own.
  [[nodiscard]] virtual Result<bool> TopicsExist(Duration timeout) = 0;
  [[nodiscard]] virtual Result<LogEnds> Ends(Duration timeout) = 0;
  // The next Poll begins with the first record that the topic holds.
  [[nodiscard]] virtual Status Rewind(Duration timeout) = 0;
  // Committed records, in order; waits up to `timeout` for the first.
  [[nodiscard]] virtual Status Poll(Duration timeout, std::vector<LogRecord>* records) = 0;
  // Every committed record below was returned, and every transaction below is decided.
  [[nodiscard]] virtual int64_t position() const = 0;
  // Makes every producer of this transactional id powerless.
  [[nodiscard]] virtual Status Fence(const std::string& transactional_id, Duration timeout) = 0;
};

class HeartbeatLog {
 public:
  virtual ~HeartbeatLog() = default;
  // Never waits. What cannot be delivered within a session is given up: only the latest is of use.
  [[nodiscard]] virtual Status Send(int64_t number, const TopicRecord& record) = 0;
  // The highest number that was delivered so far; -1: none. Those before it may have got lost.
  [[nodiscard]] virtual int64_t Delivered() = 0;
  // Waits until everything sent is delivered or given up.
  [[nodiscard]] virtual Status Flush(Duration timeout) = 0;
};

}  // namespace coho
