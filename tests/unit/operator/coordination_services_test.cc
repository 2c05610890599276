#include "operator/coordination_services.h"

#include <doctest/doctest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

namespace coho {
namespace {

using std::chrono::seconds;

// What the fake services share with the test.
struct World {
  std::mutex mutex;
  std::condition_variable changed;
  // Guarded by mutex.
  bool lets_go = true;  // whether a removed job is let go of at once
  bool ends = true;     // whether a service's end comes at once
  int started = 0;
  int ended = 0;
  std::vector<std::string> ids;
  std::multiset<JobId> coordinated;
  CoordinationService::Options last;

  void Set(bool World::*flag, bool value) {
    {
      const std::lock_guard lock(mutex);
      this->*flag = value;
    }
    changed.notify_all();
  }
  [[nodiscard]] size_t CoordinatorsOf(const JobId& id) {
    const std::lock_guard lock(mutex);
    return coordinated.count(id);
  }
};

class FakeCoordination final : public JobCoordination {
 public:
  explicit FakeCoordination(World& world) : world_(world) {}
  ~FakeCoordination() override {
    std::unique_lock lock(world_.mutex);
    world_.changed.wait(lock, [&] { return world_.ends; });
    for (const JobId& id : jobs_) world_.coordinated.erase(world_.coordinated.find(id));
    ++world_.ended;
    world_.changed.notify_all();
  }
  void SetJob(const Job& job, const JobIdentity&) override {
    const std::lock_guard lock(world_.mutex);
    if (jobs_.insert(job.id).second) world_.coordinated.insert(job.id);
  }
  void SetPodFacts(const JobId&, const std::map<WorkerId, PodFact>&) override {}
  void RemoveJob(const JobId& id) override {
    const std::lock_guard lock(world_.mutex);
    removed_.insert(id);
  }
  [[nodiscard]] std::optional<JobView> View(const JobId& id) const override {
    const std::lock_guard lock(world_.mutex);
    if (removed_.contains(id) && world_.lets_go && jobs_.erase(id) > 0)
      world_.coordinated.erase(world_.coordinated.find(id));
    if (!jobs_.contains(id)) return std::nullopt;
    return JobView();
  }

 private:
  World& world_;
  mutable std::set<JobId> jobs_;
  std::set<JobId> removed_;
};

struct Bench {
  World world;
  ManualClock clock;
  CoordinationServices services{
      {.on_change = [](const JobId&) { throw std::runtime_error("a defect"); },
       .on_event = {},
       .clock = &clock,
       .start = [this](CoordinationService::Options options) -> std::unique_ptr<JobCoordination> {
         const std::lock_guard lock(world.mutex);
         ++world.started;
         world.ids.push_back(options.transactional_id);
         world.last = std::move(options);
         return std::make_unique<FakeCoordination>(world);
       }}};
  JobIdentity identity{.job_uid = "u1", .installation = "main", .kubernetes_cluster_uid = "c1"};

  ~Bench() {
    world.Set(&World::ends, true);
    CHECK(services.Stop(seconds(10)));
  }
  static Job MakeJob(const std::string& name, const std::string& servers = "kafka:9092") {
    Job job;
    job.id = {"web", name};
    job.kafka.bootstrap_servers = servers;
    return job;
  }
  void AwaitEnded(int count) {
    std::unique_lock lock(world.mutex);
    REQUIRE(world.changed.wait_for(lock, seconds(10), [&] { return world.ended == count; }));
  }
  // As a reconcile does it: again, until the service before has let go.
  [[nodiscard]] bool RunsInTheEnd(const Job& job, const JobIdentity& as,
                                  const std::map<std::string, std::string>& secrets) {
    const auto deadline = std::chrono::steady_clock::now() + seconds(10);
    while (std::chrono::steady_clock::now() < deadline) {
      if (services.Run(job, as, secrets)) return true;
      std::this_thread::yield();
    }
    return false;
  }
};

TEST_CASE(
    "coordination services: a job whose way to Kafka is edited has one coordinator at a time") {
  Bench bench;
  const JobId id{"web", "visits"};
  REQUIRE(bench.services.Run(Bench::MakeJob("visits"), bench.identity, {}));
  REQUIRE(bench.services.Run(Bench::MakeJob("other"), bench.identity, {}));
  bench.world.Set(&World::lets_go, false);
  const Job edited = Bench::MakeJob("visits", "kafka-2:9092");
  CHECK_FALSE(bench.services.Run(edited, bench.identity, {}));
  CHECK_FALSE(bench.services.View(id));
  CHECK(bench.world.CoordinatorsOf(id) == 1);
  SUBCASE("until the one before has let go") {
    bench.world.Set(&World::lets_go, true);
    CHECK(bench.services.Run(edited, bench.identity, {}));
    CHECK(bench.world.CoordinatorsOf(id) == 1);
  }
  SUBCASE("or nothing was heard of it for long: then the claim keeps them apart") {
    bench.clock.Advance(seconds(31));
    CHECK(bench.services.Run(edited, bench.identity, {}));
  }
  CHECK(bench.services.View(id));
  CHECK(bench.services.View({"web", "other"}));
}

TEST_CASE("coordination services: one that does not end holds nobody up") {
  Bench bench;
  REQUIRE(bench.services.Run(Bench::MakeJob("visits", "nowhere:9092"), bench.identity, {}));
  bench.world.Set(&World::ends, false);
  bench.services.Forget({"web", "visits"});  // would never come back
  CHECK(bench.services.size() == 0);
  CHECK(bench.services.Run(Bench::MakeJob("other"), bench.identity, {}));
  CHECK(bench.services.View({"web", "other"}));
  // Its own successor waits for it, without waiting.
  CHECK_FALSE(bench.services.Run(Bench::MakeJob("visits"), bench.identity, {}));
  CHECK_FALSE(bench.services.Stop(Duration::zero()));
  bench.world.Set(&World::ends, true);
  bench.AwaitEnded(2);
}

TEST_CASE(
    "coordination services: new credentials do not wait for the service that had the old ones") {
  Bench bench;
  REQUIRE(bench.services.Run(Bench::MakeJob("visits"), bench.identity, {{"sasl.password", "x"}}));
  REQUIRE(bench.services.Run(Bench::MakeJob("other", "kafka-2:9092"), bench.identity, {}));
  bench.world.Set(&World::ends, false);
  CHECK_FALSE(
      bench.services.Run(Bench::MakeJob("visits"), bench.identity, {{"sasl.password", "y"}}));
  // Meanwhile everything else is answered, of other jobs and of this one.
  CHECK(bench.services.View({"web", "other"}));
  bench.services.SetPodFacts({"web", "visits"}, {});
  bench.services.SetPodFacts({"web", "other"}, {});
  CHECK(bench.services.Run(Bench::MakeJob("third"), bench.identity, {}));
  bench.services.Forget({"web", "other"});
  CHECK_FALSE(
      bench.services.Run(Bench::MakeJob("visits"), bench.identity, {{"sasl.password", "y"}}));
  bench.world.Set(&World::ends, true);
  CHECK(bench.RunsInTheEnd(Bench::MakeJob("visits"), bench.identity, {{"sasl.password", "y"}}));
}

TEST_CASE("coordination services: a job made again under its name is another job") {
  Bench bench;
  REQUIRE(bench.services.Run(Bench::MakeJob("visits"), bench.identity, {}));
  JobIdentity again = bench.identity;
  again.job_uid = "u2";
  bench.world.Set(&World::ends, false);
  CHECK_FALSE(bench.services.Run(Bench::MakeJob("visits"), again, {}));
  bench.world.Set(&World::ends, true);
  CHECK(bench.RunsInTheEnd(Bench::MakeJob("visits"), again, {}));
  CHECK(bench.world.CoordinatorsOf({"web", "visits"}) == 1);
}

TEST_CASE("coordination services: new credentials replace the service of all its jobs") {
  Bench bench;
  REQUIRE(bench.services.Run(Bench::MakeJob("a"), bench.identity, {{"sasl.password", "x"}}));
  REQUIRE(bench.services.Run(Bench::MakeJob("b"), bench.identity, {{"sasl.password", "x"}}));
  (void)bench.services.Run(Bench::MakeJob("a"), bench.identity, {{"sasl.password", "y"}});
  CHECK(bench.RunsInTheEnd(Bench::MakeJob("a"), bench.identity, {{"sasl.password", "y"}}));
  CHECK(bench.RunsInTheEnd(Bench::MakeJob("b"), bench.identity, {{"sasl.password", "y"}}));
  CHECK(bench.world.CoordinatorsOf({"web", "a"}) == 1);
  CHECK(bench.world.CoordinatorsOf({"web", "b"}) == 1);
  CHECK(bench.services.size() == 1);
}

TEST_CASE("coordination services: equal installations of two Kubernetes clusters have ids apart") {
  Bench bench;
  REQUIRE(bench.services.Run(Bench::MakeJob("a"), bench.identity, {}));
  Bench other;
  other.identity.kubernetes_cluster_uid = "c2";
  REQUIRE(other.services.Run(Bench::MakeJob("a"), other.identity, {}));
  CHECK(bench.world.ids[0].starts_with("coho-operator-main-c1-"));
  CHECK(bench.world.ids[0] != other.world.ids[0]);
}

TEST_CASE("coordination services: a callback's exception does not reach the service's thread") {
  Bench bench;
  REQUIRE(bench.services.Run(Bench::MakeJob("a"), bench.identity, {}));
  CHECK_NOTHROW(bench.world.last.on_change({"web", "a"}));
}

}  // namespace
}  // namespace coho
