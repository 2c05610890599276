#include <doctest/doctest.h>

#include "operator/kube/lease_state.h"

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
  // `b` takes over only after it saw no change for 15 s; `a` stops after 10 s without a successful write.
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

}  // namespace
}  // namespace coho::kube
