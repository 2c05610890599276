#include "operator/kube/watch_state.h"

#include <algorithm>
#include <utility>

namespace coho::kube {
namespace {

constexpr Duration kFirstBackoff = std::chrono::milliseconds(800);
constexpr Duration kLongestBackoff = std::chrono::seconds(30);
constexpr Duration kHealthyAfter = std::chrono::minutes(2);
// A watch that the server closes sooner was no watch: some proxies cut streams, and resuming at
// once would spin.
constexpr Duration kShortestWatch = std::chrono::seconds(1);

using Effects = std::vector<WatchEffect>;

struct Stepper {
  WatchState& state;
  MonotonicTime now;
  double random;
  Effects effects;

  void List(std::string resource_version) {
    state.phase = WatchPhase::kListing;
    state.listed.clear();
    state.continue_token.clear();
    state.resource_version = resource_version;
    effects.emplace_back(StartList{.resource_version = std::move(resource_version)});
  }

  void Watch() {
    state.phase = WatchPhase::kWatching;
    state.phase_since = now;
    effects.emplace_back(StartWatch{.resource_version = state.resource_version});
  }

  void WaitThen(bool list, Duration at_least) {
    state.backoff = state.backoff == Duration::zero()
                        ? kFirstBackoff
                        : std::min(state.backoff * 2, kLongestBackoff);
    const auto jittered = std::chrono::duration_cast<Duration>(state.backoff * (0.5 + random / 2));
    state.phase = WatchPhase::kWaiting;
    state.list_next = list;
    effects.emplace_back(Wait{.time = std::max(jittered, at_least)});
  }

  void operator()(const Begin&) { List(state.resource_version); }

  void operator()(const PageListed& page) {
    state.listed.insert(page.keys.begin(), page.keys.end());
    if (!page.continue_token.empty()) {
      state.continue_token = page.continue_token;
      effects.emplace_back(StartList{.resource_version = state.resource_version,
                                     .continue_token = page.continue_token});
      return;
    }
    for (const ObjectKey& key : state.known) {
      if (!state.listed.contains(key)) effects.emplace_back(Vanished{key});
    }
    state.known = std::exchange(state.listed, {});
    state.continue_token.clear();
    state.resource_version = page.resource_version;
    if (!std::exchange(state.synced, true)) effects.emplace_back(Synced{});
    Watch();
  }

  void operator()(const ObjectChanged& change) {
    if (change.deleted) {
      state.known.erase(change.key);
    } else {
      state.known.insert(change.key);
    }
    Advance(change.resource_version);
  }

  void operator()(const Bookmark& bookmark) { Advance(bookmark.resource_version); }

  void Advance(const std::string& resource_version) {
    if (!resource_version.empty()) state.resource_version = resource_version;
    if (now - state.phase_since >= kHealthyAfter) state.backoff = Duration::zero();
  }

  void operator()(const Failed& failed) {
    const bool listing = state.phase == WatchPhase::kListing;
    if (!listing && now - state.phase_since >= kHealthyAfter) state.backoff = Duration::zero();
    switch (failed.failure) {
      case WatchFailure::kExpired:
        if (!listing) return List(state.resource_version);
        // Neither the list's pages nor its version are kept any more: only what etcd has now is
        // sure to be served.
        if (!state.resource_version.empty()) return List("");
        return WaitThen(true, failed.retry_after);
      case WatchFailure::kForbidden:
      case WatchFailure::kNotServed:
        // Nothing can be seen of this type; whoever waits for it goes on without. Look again now
        // and then.
        state.backoff = kLongestBackoff;
        return WaitThen(true, failed.retry_after);
      case WatchFailure::kOther:
        return WaitThen(listing, failed.retry_after);
    }
  }

  void operator()(const WatchClosed&) {
    const Duration lasted = now - state.phase_since;
    if (lasted < kShortestWatch) return WaitThen(false, Duration::zero());
    if (lasted >= kHealthyAfter) state.backoff = Duration::zero();
    Watch();
  }

  void operator()(const Elapsed&) {
    if (!state.list_next) return Watch();
    List(state.resource_version);
  }
};

}  // namespace

std::vector<WatchEffect> Step(WatchState* state, const WatchEvent& event, MonotonicTime now,
                              double random) {
  Stepper stepper{.state = *state, .now = now, .random = random, .effects = {}};
  std::visit(stepper, event);
  return std::move(stepper.effects);
}

}  // namespace coho::kube
