#include "operator/kube/watch_state.h"

#include <doctest/doctest.h>

#include <random>

#include "tests/support/seed.h"

namespace coho::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

ObjectKey Key(const std::string& name) { return {"web", name}; }

MonotonicTime At(Duration since_start) { return MonotonicTime(since_start); }

// What a list of effects says, as text.
std::string Show(const std::vector<WatchEffect>& effects) {
  std::string out;
  for (const WatchEffect& effect : effects) {
    if (!out.empty()) out += ", ";
    if (const auto* v = std::get_if<Vanished>(&effect)) out += "vanished " + v->key.name;
    if (std::get_if<Synced>(&effect) != nullptr) out += "synced";
    if (const auto* l = std::get_if<StartList>(&effect)) {
      out += "list@" + l->resource_version +
             (l->continue_token.empty() ? "" : " from " + l->continue_token);
    }
    if (const auto* w = std::get_if<StartWatch>(&effect)) out += "watch@" + w->resource_version;
    if (const auto* w = std::get_if<Wait>(&effect))
      out += "wait " + std::to_string(w->time / milliseconds(1));
  }
  return out;
}

// A state that has listed a and b at version 10 and watches since time 0.
WatchState Watching() {
  WatchState state;
  (void)Step(&state, Begin{}, At(seconds(0)), 0);
  (void)Step(&state, PageListed{{Key("a"), Key("b")}, "10", ""}, At(seconds(0)), 0);
  return state;
}

TEST_CASE("Watch: lists at any version, then watches from the list's version") {
  WatchState state;
  CHECK(Show(Step(&state, Begin{}, At(seconds(0)), 0)) == "list@0");
  CHECK(Show(Step(&state, PageListed{{Key("a")}, "9", "next"}, At(seconds(1)), 0)) ==
        "list@0 from next");
  CHECK(!state.synced);
  CHECK(Show(Step(&state, PageListed{{Key("b")}, "10", ""}, At(seconds(2)), 0)) ==
        "synced, watch@10");
  CHECK(state.known == std::set<ObjectKey>{Key("a"), Key("b")});
}

TEST_CASE(
    "Watch: goes on from the version of the last object or bookmark when the server closes the "
    "stream") {
  WatchState state = Watching();
  CHECK(Step(&state, ObjectChanged{Key("c"), false, "12"}, At(seconds(5)), 0).empty());
  CHECK(Show(Step(&state, WatchClosed{}, At(seconds(300)), 0)) == "watch@12");
  CHECK(Step(&state, Bookmark{"20"}, At(seconds(360)), 0).empty());
  CHECK(Show(Step(&state, WatchClosed{}, At(seconds(600)), 0)) == "watch@20");
}

TEST_CASE(
    "Watch: a version that is not kept any more leads to a list, which tells what vanished "
    "meanwhile") {
  WatchState state = Watching();
  (void)Step(&state, ObjectChanged{Key("c"), false, "12"}, At(seconds(5)), 0);
  CHECK(Show(Step(&state, Failed{WatchFailure::kExpired, {}}, At(seconds(60)), 0)) == "list@12");
  CHECK(Show(Step(&state, PageListed{{Key("b"), Key("d")}, "40", ""}, At(seconds(61)), 0)) ==
        "vanished a, vanished c, watch@40");
  CHECK(state.known == std::set<ObjectKey>{Key("b"), Key("d")});
}

TEST_CASE(
    "Watch: a list that expires is begun anew from what etcd has, and waits if that expires, too") {
  WatchState state = Watching();
  (void)Step(&state, Failed{WatchFailure::kExpired, {}}, At(seconds(60)), 0);
  (void)Step(&state, PageListed{{Key("a")}, "40", "next"}, At(seconds(61)), 0);
  CHECK(Show(Step(&state, Failed{WatchFailure::kExpired, {}}, At(seconds(62)), 0)) == "list@");
  CHECK(state.listed.empty());
  CHECK(Show(Step(&state, Failed{WatchFailure::kExpired, {}}, At(seconds(63)), 0.5)) == "wait 600");
  CHECK(Show(Step(&state, Elapsed{}, At(seconds(64)), 0)) == "list@");
  // Nothing vanishes because of the pages that were thrown away.
  CHECK(Show(Step(&state, PageListed{{Key("a"), Key("b")}, "50", ""}, At(seconds(65)), 0)) ==
        "watch@50");
}

TEST_CASE(
    "Watch: back-off doubles to 30 s with jitter, and begins anew after two healthy minutes") {
  WatchState state = Watching();
  MonotonicTime now = At(seconds(0));
  for (const int expected : {800, 1600, 3200, 6400, 12800, 25600, 30000, 30000}) {
    now += milliseconds(10);
    CHECK(Show(Step(&state, Failed{WatchFailure::kOther, {}}, now, 0.9999999)) ==
          "wait " + std::to_string(expected - 1));
    CHECK(Show(Step(&state, Elapsed{}, now, 0)) == "watch@10");
  }
  CHECK(Show(Step(&state, Failed{WatchFailure::kOther, {}}, now + minutes(3), 0)) == "wait 400");
}

TEST_CASE("Watch: waits as long as the server asks") {
  WatchState state = Watching();
  CHECK(Show(Step(&state, Failed{WatchFailure::kOther, seconds(17)}, At(seconds(5)), 0)) ==
        "wait 17000");
}

TEST_CASE("Watch: a failed list is listed again, a failed watch watched again") {
  WatchState state;
  (void)Step(&state, Begin{}, At(seconds(0)), 0);
  CHECK(Show(Step(&state, Failed{WatchFailure::kOther, {}}, At(seconds(1)), 0)) == "wait 400");
  CHECK(Show(Step(&state, Elapsed{}, At(seconds(2)), 0)) == "list@0");
}

TEST_CASE("Watch: a stream closed at once is no reason to spin") {
  WatchState state = Watching();
  CHECK(Show(Step(&state, WatchClosed{}, At(milliseconds(3)), 0)) == "wait 400");
  CHECK(Show(Step(&state, Elapsed{}, At(seconds(1)), 0)) == "watch@10");
}

TEST_CASE("Watch: what is forbidden or unknown is looked for again now and then") {
  for (const WatchFailure failure : {WatchFailure::kForbidden, WatchFailure::kNotServed}) {
    WatchState state;
    (void)Step(&state, Begin{}, At(seconds(0)), 0);
    CHECK(Show(Step(&state, Failed{failure, {}}, At(seconds(1)), 0)) == "wait 15000");
    CHECK(Show(Step(&state, Elapsed{}, At(seconds(16)), 0)) == "list@0");
  }
}

// A server with a history of changes, and a driver that loses watches and lists at random: whatever
// happens, after a list the driver holds what the server holds, and it never holds an object for
// which a delete was missed.
TEST_CASE("Watch: ends with the server's objects whatever is lost on the way") {
  const auto seed = static_cast<unsigned>(test::Seed());
  CAPTURE(seed);
  std::mt19937 random(seed);
  const auto chance = [&](int percent) { return static_cast<int>(random() % 100) < percent; };
  for (int round = 0; round < 200; ++round) {
    std::set<ObjectKey> server;
    std::set<ObjectKey> held;
    int version = 1;
    WatchState state;
    MonotonicTime now = At(seconds(0));
    std::vector<WatchEffect> effects = Step(&state, Begin{}, now, 0);
    for (int i = 0; i < 60 || state.phase != WatchPhase::kWatching; ++i) {
      now += seconds(2);
      for (const WatchEffect& effect : effects) {
        if (const auto* vanished = std::get_if<Vanished>(&effect)) held.erase(vanished->key);
      }
      if (state.phase == WatchPhase::kWaiting) {
        effects = Step(&state, Elapsed{}, now, 0);
        continue;
      }
      const bool quiet = i >= 60;  // let it settle
      if (!quiet && chance(15)) {
        effects = Step(
            &state, Failed{chance(50) ? WatchFailure::kExpired : WatchFailure::kOther, {}}, now, 0);
        continue;
      }
      const ObjectKey key = Key(std::string(1, static_cast<char>('a' + random() % 5)));
      const bool deleted = !server.insert(key).second && server.erase(key) > 0;
      ++version;
      if (state.phase == WatchPhase::kListing) {
        held.insert(server.begin(), server.end());
        effects =
            Step(&state, PageListed{{server.begin(), server.end()}, std::to_string(version), ""},
                 now, 0);
        continue;
      }
      if (deleted) {
        held.erase(key);
      } else {
        held.insert(key);
      }
      effects = Step(&state, ObjectChanged{key, deleted, std::to_string(version)}, now, 0);
      // Changes that happen while no watch runs are seen by the next list only: a watch resumed
      // from its version would replay them, which this server, that forgets at once, answers by
      // Expired.
      if (!quiet && chance(10)) {
        server.erase(Key("a"));
        effects = Step(&state, Failed{WatchFailure::kExpired, {}}, now, 0);
      }
    }
    for (const WatchEffect& effect : effects) {
      if (const auto* vanished = std::get_if<Vanished>(&effect)) held.erase(vanished->key);
    }
    REQUIRE(held == server);
    REQUIRE(state.known == server);
  }
}

}  // namespace
}  // namespace coho::kube
