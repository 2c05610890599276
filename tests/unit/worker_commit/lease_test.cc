#include "worker/commit/lease.h"

#include <doctest/doctest.h>

namespace coho {
namespace {

using std::chrono::seconds;

MonotonicTime At(Duration d) { return MonotonicTime(d); }

TEST_CASE("Lease: good from the sending of an acknowledged heartbeat for its length") {
  Lease lease(seconds(6));
  CHECK_FALSE(lease.Valid(At(seconds(100))));
  lease.Renew(At(seconds(100)), At(seconds(103)));
  CHECK(lease.Valid(At(seconds(103))));
  CHECK(lease.Valid(At(seconds(106)) - Duration(1)));
  CHECK_FALSE(lease.Valid(At(seconds(106))));
}

TEST_CASE("Lease: keeps its epoch while renewed in time, and gets a new one after it ran out") {
  Lease lease(seconds(6));
  lease.Renew(At(seconds(100)), At(seconds(100)));
  const int64_t epoch = lease.epoch();
  lease.Renew(At(seconds(105)), At(seconds(105)));
  CHECK(lease.epoch() == epoch);
  // A loop that was busy from 104 to 115 finds a valid lease, but not its own.
  lease.Renew(At(seconds(114)), At(seconds(114)));
  CHECK(lease.Valid(At(seconds(115))));
  CHECK(lease.epoch() != epoch);
}

TEST_CASE("Lease: an acknowledgement that took too long makes nothing good") {
  Lease lease(seconds(6));
  lease.Renew(At(seconds(100)), At(seconds(107)));
  CHECK_FALSE(lease.Valid(At(seconds(107))));
}

}  // namespace
}  // namespace coho
