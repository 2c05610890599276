// Which key is to be worked on next, and when: a set of keys, not a list of events. A key added
// many times is handed out once; a key added while it is worked on is handed out again afterwards,
// never to two workers at a time; a key that failed comes back after a pause that grows with each
// failure. Pure: times come in as arguments. Thread-compatible; work_queue.h adds the lock.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "common/base/clock.h"
#include "operator/kube/resource.h"
#include "operator/kube/token_bucket.h"

namespace coho::kube {

class WorkQueueState {
 public:
  struct Taken {
    ObjectKey key;
    Duration waited{};  // since it became due
  };

  // True when the key was not waiting already.
  bool Add(const ObjectKey& key, MonotonicTime now);
  // Adds it at `due`; of several times for a key the earliest holds.
  void AddAt(const ObjectKey& key, MonotonicTime due);
  // Adds it after its back-off: 5 ms doubling to 1000 s per key, and at most 10 a second (100 at
  // once) over all keys. Returns the pause.
  Duration AddAfterFailure(const ObjectKey& key, MonotonicTime now);
  // The key's back-off begins anew.
  void Forget(const ObjectKey& key) { failures_.erase(key); }

  // Makes due what is due by `now` and takes the key that has waited longest. REQUIRES: Done() is
  // called for it.
  [[nodiscard]] std::optional<Taken> Take(MonotonicTime now);
  void Done(const ObjectKey& key);

  // When the next delayed key becomes due; nullopt: none is delayed.
  [[nodiscard]] std::optional<MonotonicTime> NextDue() const;
  [[nodiscard]] size_t depth() const { return ready_.size(); }
  [[nodiscard]] int failures(const ObjectKey& key) const;

 private:
  void Ripen(MonotonicTime now);

  std::deque<ObjectKey> ready_;  // keys of queued_ that are not processed now, in order
  std::map<ObjectKey, MonotonicTime> queued_;  // since when it waits
  std::set<ObjectKey> processing_;
  std::map<ObjectKey, MonotonicTime> delayed_;
  std::set<std::pair<MonotonicTime, ObjectKey>> by_due_;  // delayed_, by time
  std::map<ObjectKey, int> failures_;
  TokenBucket retries_{10, 100};
};

}  // namespace coho::kube
