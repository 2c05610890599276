#include "common/coordinating/heartbeat_follower.h"

#include <doctest/doctest.h>

#include <utility>
#include <vector>

namespace coho {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Without a consumer: it stays where the test says that it is.
struct World {
  ManualClock clock;
  EventsQueue events;
  int opened = 0;
  std::vector<std::vector<TopicPartition>> asked;
  HeartbeatFollower follower{{.open = [this]() -> Result<std::unique_ptr<kafka::Consumer>> {
                                ++opened;
                                return ResourceExhausted("no thread is left");
                              },
                              .ask_ends = [this](const auto& all) { asked.push_back(all); },
                              .events = &events,
                              .clock = &clock}};

  // Up to when which topics were heard.
  std::vector<std::pair<std::string, MonotonicTime>> Heard() {
    follower.Turn();
    std::vector<std::pair<std::string, MonotonicTime>> heard;
    for (ClusterEvent& event : events.Take(Duration::zero(), 100)) {
      const auto& one = std::get<HeartbeatsHeard>(event);
      heard.emplace_back(one.topic, one.as_of);
    }
    return heard;
  }
  void End(const std::string& topic, int64_t end, int at) {
    follower.OnEnds({MonotonicTime(seconds(at)), {{{topic, 0}, end}}});
  }
};

using All = std::vector<std::pair<std::string, MonotonicTime>>;
MonotonicTime At(int second) { return MonotonicTime(seconds(second)); }

TEST_CASE("follower: a consumer that cannot be opened is tried again with pauses") {
  World world;
  world.follower.Follow("a", 0);
  for (int i = 0; i < 40; ++i) {
    world.follower.Turn();
    world.clock.Advance(milliseconds(250));
  }
  CHECK(world.opened >= 4);
  CHECK(world.opened <= 8);
}

TEST_CASE("follower: heard is what was asked for and read to, not what is there by now") {
  World world;
  world.follower.Follow("a", 5);
  world.End("a", 5, 1);
  CHECK(world.Heard() == All{{"a", At(1)}});
  CHECK(world.Heard().empty());
  SUBCASE("an end is waited for, though later ones become known") {
    world.End("a", 7, 2);
    CHECK(world.Heard().empty());
    world.End("a", 9, 3);
    CHECK(world.Heard().empty());
    world.follower.Follow("a", 7);
    CHECK(world.Heard() == All{{"a", At(2)}});
    // The next one has to be asked for again.
    world.follower.Follow("a", 9);
    CHECK(world.Heard().empty());
  }
  SUBCASE("a lower end is of a topic that was made anew, and counts") {
    world.End("a", 7, 2);
    CHECK(world.Heard().empty());
    world.End("a", 3, 3);
    CHECK(world.Heard() == All{{"a", At(3)}});
  }
  SUBCASE("each topic by itself") {
    world.follower.Follow("b", 0);
    world.End("a", 7, 2);
    world.End("b", 0, 2);
    CHECK(world.Heard() == All{{"b", At(2)}});
  }
  SUBCASE("nothing is said of a topic that is followed no more, or anew behind its end") {
    world.End("a", 7, 2);
    CHECK(world.Heard().empty());
    world.follower.Unfollow("a");
    world.follower.Follow("b", 0);
    CHECK(world.Heard().empty());
    world.follower.Follow("a", 8);
    CHECK(world.Heard().empty());
  }
}

TEST_CASE("follower: where topics end is asked once a second, of all that are followed") {
  World world;
  world.clock.Advance(seconds(10));
  world.follower.Follow("a", 0);
  world.follower.Follow("b", 0);
  for (int i = 0; i < 9; ++i) {
    world.follower.Turn();
    world.clock.Advance(milliseconds(250));
  }
  REQUIRE(world.asked.size() == 3);
  CHECK(world.asked[0] == std::vector<TopicPartition>{{"a", 0}, {"b", 0}});
}

}  // namespace
}  // namespace coho
