#include "worker/commit/lease.h"

#include <doctest/doctest.h>

namespace coho {
namespace {

using std::chrono::seconds;

MonotonicTime At(Duration d) { return MonotonicTime(d); }

class ClockAt final : public Clock {
 public:
  explicit ClockAt(Duration now) : now_(now) {}
  MonotonicTime Now() const override { return MonotonicTime(now_); }
  WallTime WallNow() const override { return WallTime(now_); }

 private:
  Duration now_;
};

TEST_CASE("Lease: good from the sending of an acknowledged heartbeat for its length") {
  Lease lease(seconds(6));
  CHECK_FALSE(lease.Valid(At(seconds(100))));
  lease.Renew(At(seconds(100)), ClockAt(seconds(103)));
  CHECK(lease.Valid(At(seconds(103))));
  CHECK(lease.Valid(At(seconds(106)) - Duration(1)));
  CHECK_FALSE(lease.Valid(At(seconds(106))));
}

TEST_CASE("Lease: keeps its epoch while renewed in time, and gets a new one after it ran out") {
  Lease lease(seconds(6));
  lease.Renew(At(seconds(100)), ClockAt(seconds(100)));
  const int64_t epoch = lease.epoch();
  lease.Renew(At(seconds(105)), ClockAt(seconds(105)));
  CHECK(lease.epoch() == epoch);
  // A loop that was busy from 104 to 115 finds a valid lease, but not its own.
  lease.Renew(At(seconds(114)), ClockAt(seconds(114)));
  CHECK(lease.Valid(At(seconds(115))));
  CHECK(lease.epoch() != epoch);
}

TEST_CASE(
    "Lease: whoever saw it end finds another epoch, even if it is extended in the same instant") {
  // A loop finds the lease over and asks for its epoch a moment later; between the two the member
  // extends it.
  Lease lease(seconds(6));
  lease.Renew(At(seconds(100)), ClockAt(seconds(100)));
  const int64_t granted_in = lease.epoch();
  const ClockAt now(seconds(106));
  REQUIRE_FALSE(lease.Valid(now.Now()));
  lease.Renew(At(seconds(105)), now);
  CHECK(lease.Valid(now.Now()));
  CHECK(lease.epoch() != granted_in);
}

TEST_CASE("Lease: an acknowledgement that took too long makes nothing good") {
  Lease lease(seconds(6));
  lease.Renew(At(seconds(100)), ClockAt(seconds(107)));
  CHECK_FALSE(lease.Valid(At(seconds(107))));
}

}  // namespace
}  // namespace coho
