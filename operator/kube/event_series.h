// Which events are written anew, which are counted, which are dropped. The same event again within
// six minutes is not a new object but the next of a series; of events that differ only in their
// note, ten in ten minutes are written singly and the rest are counted on the last one; and one
// object gets 100 at once, then one every half minute. Pure: times come in as arguments.
// Thread-compatible.
#pragma once

#include <compare>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "operator/kube/token_bucket.h"

namespace coho::kube {

struct EventKind {  // what must be alike for two events to be the same but for the note
  std::string ns;
  std::string object;  // uid of what it is about
  bool warning = false;
  std::string reason;
  std::string action;
  friend auto operator<=>(const EventKind&, const EventKind&) = default;
};

struct SeriesUpdate {
  std::string ns;
  std::string event_name;
  int64_t count = 0;
  WallTime last_observed;
};

enum class EventVerdict { kCreate, kCounted, kDropped };

class EventSeries {
 public:
  // `name` is what the event will be called if it is to be created.
  [[nodiscard]] EventVerdict Record(const EventKind& kind, const std::string& note,
                                    const std::string& name, MonotonicTime now, WallTime wall);
  // Series whose count has to be written now: the first repeat at once, later ones every half
  // minute. Forgets series that ended.
  [[nodiscard]] std::vector<SeriesUpdate> DueUpdates(MonotonicTime now);
  [[nodiscard]] bool has_pending() const;

 private:
  struct Series {
    std::string name;
    int64_t count = 1;
    int64_t written_count = 1;
    WallTime last_observed;
    MonotonicTime last_seen;
    std::optional<MonotonicTime> written_at;
  };
  struct Burst {  // of one kind, whatever the notes
    MonotonicTime began;
    int created = 0;
    std::string latest_note;
  };
  void Forget(MonotonicTime now);

  std::map<std::pair<EventKind, std::string>, Series> series_;  // by kind and note
  std::map<EventKind, Burst> bursts_;
  struct Budget {
    TokenBucket bucket{1.0 / 30, 100};
    MonotonicTime last_used;
  };
  std::map<std::string, Budget> budgets_;  // by object
};

}  // namespace coho::kube
