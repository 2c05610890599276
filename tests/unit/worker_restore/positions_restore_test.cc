#include "worker/restore/positions_restore.h"

#include <doctest/doctest.h>

#include <string>

namespace coho {
namespace {

Positions At(int64_t next) { return {{"in", "id", 3, next}}; }

Status AddPositions(PositionsRestore* restore, int64_t offset, int64_t next) {
  return restore->Add(offset, kPositionsKey, EncodePositionsRecord(At(next)));
}

TEST_CASE("PositionsRestore: reads near the end, and takes the last record") {
  PositionsRestore restore({"positions", 3});
  restore.Plan({.begin = 0, .end = 1000});
  CHECK(restore.position() > 900);
  REQUIRE(AddPositions(&restore, 990, 1).ok());
  REQUIRE(AddPositions(&restore, 998, 2).ok());
  CHECK_FALSE(restore.caught_up());
  restore.Reached(
      // a commit of a later owner is not there when an owner restores, but control records may be
      1002);
  CHECK(restore.caught_up());
  CHECK_FALSE(restore.TakeStepBack());
  CHECK(restore.positions() == At(2));
}

TEST_CASE("PositionsRestore: nothing near the end but control records, so it begins at the begin") {
  PositionsRestore restore({"positions", 3});
  restore.Plan({.begin = 10, .end = 1000});
  restore.Reached(1000);
  CHECK_FALSE(restore.caught_up());
  // What is left of the batch is not for it.
  REQUIRE(AddPositions(&restore, 999, 9).ok());
  CHECK(restore.TakeStepBack());
  CHECK(restore.position() == 10);
  REQUIRE(AddPositions(&restore, 10, 1).ok());
  restore.Reached(1000);
  CHECK(restore.caught_up());
  CHECK(restore.positions() == At(1));
}

TEST_CASE("PositionsRestore: a topic without any is read once") {
  PositionsRestore restore({"positions", 3});
  restore.Plan({.begin = 0, .end = 1000});
  restore.Reached(1000);
  REQUIRE(restore.TakeStepBack());
  restore.Reached(1000);
  CHECK(restore.caught_up());
  CHECK_FALSE(restore.positions().has_value());
  restore.Plan({.begin = 0, .end = 0});
  CHECK(restore.caught_up());
}

TEST_CASE("PositionsRestore: positions that cannot be read are never skipped") {
  PositionsRestore restore({"positions", 3});
  restore.Plan({.begin = 0, .end = 10});
  REQUIRE(restore.Add(3, "key", "of a store that is no more").ok());
  const Status status = restore.Add(4, kPositionsKey, "value");
  CHECK(status.code() == Code::kInvalidRecord);
  CHECK(status.message().find("topic positions partition 3 offset 4") != std::string::npos);
}

}  // namespace
}  // namespace coho
