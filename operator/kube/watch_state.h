// The list-and-watch of one resource type as a state machine: what happened in, what to do next
// out. The driver (watch.h) talks to the API server and keeps the objects; here is decided when to
// list, from which version to watch, how long to wait, and which objects have vanished.
//
// Pure: no clock, no IO; times and random numbers come in as arguments. Thread-compatible.
//
//                 ┌──── next page ────┐                  ┌── object, bookmark ──┐
//   Begin ──► listing ────────────────┴─ last page ──► watching ────────────────┘
//                ▲ │ failed                              │ │ closed: watch on from the last version, at once
//                │ └──────► waiting ◄──────── failed ────┘ │
//                └── elapsed ──┘ └── elapsed ──► watching  │
//                └───────────── 410: version too old ──────┘
#pragma once

#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "common/base/clock.h"
#include "operator/kube/resource.h"

namespace coho::kube {

enum class WatchPhase { kIdle, kListing, kWatching, kWaiting };

enum class WatchFailure {
  kExpired,    // 410: this version is not kept any more
  kForbidden,  // 403
  kNotServed,  // 404: the API server does not know the type (its CRD is not installed yet)
  kOther,      // refused, reset, throttled, 5xx, garbage
};

struct WatchState {
  WatchPhase phase = WatchPhase::kIdle;
  // Of the latest object, bookmark or list. "0": any version the server has at hand; empty: the
  // latest, read from etcd.
  std::string resource_version = "0";
  std::string continue_token;
  bool synced = false;         // a list was complete once
  bool list_next = true;       // what follows the wait: list or watch
  std::set<ObjectKey> known;   // every object that the driver holds
  std::set<ObjectKey> listed;  // of the list under way
  Duration backoff{};          // of the latest failure; zero: none
  MonotonicTime phase_since;   // when the watch under way began
};

// What happened.
struct Begin {};
struct PageListed {
  std::vector<ObjectKey> keys;
  std::string resource_version;
  std::string continue_token;  // empty: the last page
};
struct ObjectChanged {
  ObjectKey key;
  bool deleted = false;
  std::string resource_version;
};
struct Bookmark {
  std::string resource_version;
};
struct Failed {  // of the list or watch under way
  WatchFailure failure = WatchFailure::kOther;
  Duration retry_after{};
};
struct WatchClosed {};  // by the server, in good order, or for silence
struct Elapsed {};      // the wait is over
using WatchEvent =
    std::variant<Begin, PageListed, ObjectChanged, Bookmark, Failed, WatchClosed, Elapsed>;

// What to do. Exactly one of StartList, StartWatch and Wait ends each answer, except to
// ObjectChanged and Bookmark.
struct Vanished {  // the object was deleted while nobody looked
  ObjectKey key;
};
struct Synced {};  // everything is known, for the first time
struct StartList {
  std::string resource_version;
  std::string continue_token;
};
struct StartWatch {
  std::string resource_version;
};
struct Wait {
  Duration time{};
};
using WatchEffect = std::variant<Vanished, Synced, StartList, StartWatch, Wait>;

// `random` in [0, 1). REQUIRES: the event fits the phase (a page only while listing, and so on).
[[nodiscard]] std::vector<WatchEffect> Step(WatchState* state, const WatchEvent& event,
                                            MonotonicTime now, double random);

}  // namespace coho::kube
