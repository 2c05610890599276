#include "operator/kube/lease.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <random>

#include "operator/kube/lease_state.h"
#include "tests/unit/http/scripted_server.h"
#include "tests/unit/kube/local_access.h"

namespace coho::kube {
namespace {

using std::chrono::seconds;

MonotonicTime At(int s) { return MonotonicTime(seconds(s)); }

LeaseRecord Record(const std::string& holder, const std::string& version) {
  return {.exists = true,
          .holder = holder,
          .duration_seconds = 15,
          .transitions = 3,
          .resource_version = version};
}

TEST_CASE("Lease: what a candidate does next") {
  struct Row {
    const char* name;
    LeaseRecord record;
    int seen_at;
    int now;
    LeaseAction expected;
  };
  const Row rows[] = {
      {"there is none", {}, 100, 100, LeaseAction::kCreate},
      {"released", Record("", "1"), 100, 100, LeaseAction::kTake},
      {"ours", Record("me", "1"), 100, 500, LeaseAction::kRenew},
      {"another's, just seen", Record("other", "1"), 100, 100, LeaseAction::kWait},
      {"another's, unchanged for its duration", Record("other", "1"), 100, 115, LeaseAction::kWait},
      {"another's, unchanged for longer", Record("other", "1"), 100, 116, LeaseAction::kTake},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    LeaseState state("me");
    state.Observe(row.record, At(row.seen_at));
    CHECK(state.Next(At(row.now)) == row.expected);
  }
}

TEST_CASE("Lease: each renewal of the other gives it its whole duration, whatever time it wrote") {
  LeaseState state("me");
  LeaseRecord record = Record("other", "1");
  record.renew_time = "1999-01-01T00:00:00.000000Z";  // a clock far behind
  state.Observe(record, At(0));
  record.resource_version = "2";
  state.Observe(record, At(10));
  CHECK(state.Next(At(20)) == LeaseAction::kWait);
  state.Observe(record, At(24));  // seen again, unchanged
  CHECK(state.Next(At(26)) == LeaseAction::kTake);
}

TEST_CASE("Lease: leads until the renew deadline after the last write, or until another holds it") {
  const LeaseTiming timing;
  LeaseState state("me");
  CHECK(!state.Leads(timing, At(0)));
  state.Observe(Record("me", "1"), At(0));
  state.Held(At(0));
  CHECK(state.Leads(timing, At(9)));
  CHECK(!state.Leads(timing, At(10)));
  state.Held(At(10));
  CHECK(state.Leads(timing, At(12)));
  state.Observe(Record("other", "2"), At(12));
  CHECK(!state.Leads(timing, At(12)));
}

TEST_CASE("Lease: two candidates with clocks of their own never lead at once") {
  // `b` takes over only after it saw no change for 15 s; `a` stops after 10 s without a successful
  // write.
  const LeaseTiming timing;
  LeaseState a("a");
  LeaseState b("b");
  a.Observe(Record("a", "1"), At(0));
  a.Held(At(0));
  b.Observe(Record("a", "1"), At(1));  // b sees the write later than a made it
  for (int now = 1; now < 40; ++now) {
    const bool b_takes = b.Next(At(now)) == LeaseAction::kTake;
    CHECK(!(b_takes && a.Leads(timing, At(now))));
  }
}

TEST_CASE("Lease: an attempt never outlasts the time for which we lead") {
  const LeaseTiming timing;
  LeaseState state("me");
  CHECK(state.AttemptTime(timing, At(0)) == timing.attempt);
  CHECK_FALSE(state.LeadsUntil(timing));
  state.Observe(Record("me", "1"), At(0));
  state.Held(At(0));
  for (int now = 0; now < 40; ++now) {
    CHECK(At(now) + state.AttemptTime(timing, At(now)) <=
          std::max(At(now), *state.LeadsUntil(timing)));
  }
  CHECK(state.AttemptTime(timing, At(9)) == seconds(1));
  CHECK(state.AttemptTime(timing, At(30)) == Duration::zero());
}

TEST_CASE("Lease: whatever clock and API server do, we stop before another may begin") {
  // Writes are answered late or never, and the machine may sleep at any moment.
  const LeaseTiming timing;
  std::minstd_rand dice(7);
  const auto below = [&](int n) { return static_cast<int>(dice() % static_cast<unsigned>(n)); };
  for (int round = 0; round < 2000; ++round) {
    LeaseState a("a");
    LeaseState b("b");
    int version = 1;
    int now = 0;
    a.Observe(Record("a", "1"), At(0));
    a.Held(At(0));
    b.Observe(Record("a", "1"), At(0));
    while (now < 60) {
      now += 1 + below(below(10) == 0 ? 20 : 3);
      if (a.Leads(timing, At(now)) && below(2) == 0) {
        const int began = now;
        const Duration at_most = a.AttemptTime(timing, At(began));
        now += below(6);
        // It reached the server; the answer comes in time, or is cut off.
        b.Observe(Record("a", std::to_string(++version)), At(now));
        if (At(now) - At(began) <= at_most) a.Held(At(began));
      }
      if (b.Next(At(now)) == LeaseAction::kTake) {
        REQUIRE_FALSE(a.Leads(timing, At(now)));
        break;
      }
    }
  }
}

TEST_CASE("Lease: leading ends in time though the API server throttles or says nothing any more") {
  using std::chrono::milliseconds;
  std::atomic<bool> hostile = false;
  bool throttles = false;
  SUBCASE("it asks for a long pause") { throttles = true; }
  SUBCASE("it does not answer") {}
  std::mutex mutex;
  Json stored;
  ScriptedServer server([&](const ScriptedRequest& request, const ScriptedServer::Connection& to) {
    if (hostile && throttles) return to.Answer(429, "{}", "Retry-After: 60\r\n");
    if (hostile) {
      to.StayOpen();
      return false;
    }
    const std::lock_guard lock(mutex);
    if (request.method == "GET" && stored.is_null()) return to.Answer(404, "{}");
    if (request.method != "GET") {
      stored = Json::parse(request.body);
      // Others may keep something in it.
      stored["metadata"]["labels"]["team"] = "web";
      stored["metadata"]["resourceVersion"] = "1";
    }
    return to.Answer(200, stored.dump());
  });
  const auto access = LocalAccessSource(server.port());
  prometheus::Registry registry;
  const LeaseTiming timing{.duration = milliseconds(900),
                           .renew_deadline = milliseconds(600),
                           .retry_period = milliseconds(50),
                           .attempt = milliseconds(400)};
  Api api(*access, Clock::Real(), {.timeout = timing.attempt, .tries_when_throttled = 1}, registry);
  std::mutex ended_mutex;
  std::condition_variable changed;
  bool leads = false;
  std::optional<MonotonicTime> lost;
  Lease lease(api, Clock::Real(),
              {.ns = "coho",
               .name = "coho-operator",
               .identity = "me",
               .timing = timing,
               .on_leading =
                   [&] {
                     const std::lock_guard lock(ended_mutex);
                     leads = true;
                     changed.notify_all();
                   },
               .on_lost =
                   [&] {
                     const std::lock_guard lock(ended_mutex);
                     lost = Clock::Real().Now();
                     changed.notify_all();
                   }},
              registry);
  lease.Start();
  {
    std::unique_lock lock(ended_mutex);
    REQUIRE(changed.wait_for(lock, seconds(10), [&] { return leads; }));
  }
  CHECK(lease.leading());
  const MonotonicTime began = Clock::Real().Now();
  hostile = true;
  {
    std::unique_lock lock(ended_mutex);
    REQUIRE(changed.wait_for(lock, seconds(10), [&] { return lost.has_value(); }));
  }
  CHECK_FALSE(lease.leading());
  CHECK(*lost - began < timing.duration);
  api.Stop();
  lease.Stop();
  const std::lock_guard lock(mutex);
  CHECK(stored["metadata"]["labels"]["team"] == "web");
}

TEST_CASE("Lease: an answer that brings down its reader costs an attempt, not the process") {
  using std::chrono::milliseconds;
  std::atomic<int> odd = 2;
  std::mutex mutex;
  Json stored;
  ScriptedServer server([&](const ScriptedRequest& request, const ScriptedServer::Connection& to) {
    // Neither of them can hold what we write.
    if (request.method == "GET" && odd-- > 0)
      return to.Answer(200, R"({"metadata": ["name"], "spec": "none"})");
    const std::lock_guard lock(mutex);
    if (request.method == "GET" && stored.is_null()) return to.Answer(404, "{}");
    if (request.method != "GET") stored = Json::parse(request.body);
    return to.Answer(200, stored.dump());
  });
  const auto access = LocalAccessSource(server.port());
  prometheus::Registry registry;
  Api api(*access, Clock::Real(), {}, registry);
  std::atomic<bool> leads = false;
  Lease lease(api, Clock::Real(),
              {.ns = "coho",
               .name = "coho-operator",
               .identity = "me",
               .timing = {.retry_period = milliseconds(20)},
               .on_leading =
                   [&] {
                     leads = true;
                     leads.notify_all();
                   },
               .on_lost = [] {}},
              registry);
  lease.Start();
  leads.wait(false);
  CHECK(lease.leading());
  CHECK(odd < 0);
  lease.Stop();
}

}  // namespace
}  // namespace coho::kube
