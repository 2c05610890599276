// When a run loop commits, and which stores write back and flush after it. Pure: times
// come in as arguments.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/base/clock.h"

namespace coho {

struct CommitPolicy {
  Duration commit_interval = std::chrono::milliseconds(100);
  // Positions that only passed control records are committed this late: it is worth no transaction
  // of its own.
  Duration idle_interval = std::chrono::seconds(1);
  Duration flush_interval = std::chrono::seconds(30);
  int64_t dirty_bytes_max = 64 << 20;  // of the loop's stores together
  // An open transaction is committed before Kafka calls it abandoned, however long the commit
  // interval is.
  std::optional<Duration> transaction_age_max = std::nullopt;
};

struct CommitFacts {
  MonotonicTime last_commit;
  bool work = false;  // records processed, windows run or values changed since the last commit
  std::optional<MonotonicTime> moved_since;  // positions differ from the committed ones since then
  bool over_budget = false;                  // a store's overlay is full
  std::optional<MonotonicTime> transaction_since = std::nullopt;  // when the open one was begun
};

[[nodiscard]] bool IsCommitDue(const CommitPolicy& policy, const CommitFacts& facts,
                               MonotonicTime now);
// When IsCommitDue will say yes if nothing else happens; nullopt: never.
[[nodiscard]] std::optional<MonotonicTime> NextCommit(const CommitPolicy& policy,
                                                      const CommitFacts& facts);

struct StoreFacts {
  int64_t dirty_bytes = 0;
  bool over_budget = false;
  std::optional<MonotonicTime>
      unflushed_since;  // oldest change that the engine's files do not hold
};

struct WriteBackDecision {
  bool write_back = false;
  bool flush = false;  // after the write-back, if there is one
  friend bool operator==(const WriteBackDecision&, const WriteBackDecision&) = default;
};

// REQUIRES: asked right after a commit. One decision per store, in order. Stores over their budget
// write back; the largest follow until the loop's dirty bytes are below half their limit, once they
// passed it. Stores whose changes are older than the flush interval write back and flush: the
// oldest eighth of them at a time, so that a loop with many stores does not stall for all of them.
[[nodiscard]] std::vector<WriteBackDecision> DecideWriteBack(const CommitPolicy& policy,
                                                             std::span<const StoreFacts> stores,
                                                             MonotonicTime now);

}  // namespace coho
