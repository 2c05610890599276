#include "worker/loop/loop_schedule.h"

#include <doctest/doctest.h>

#include <optional>

namespace coho {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const MonotonicTime kBegin = MonotonicTime(seconds(1000));
constexpr CommitPolicy kPolicy = {.commit_interval = milliseconds(100)};

TEST_CASE("LoopSchedule: a commit is due an interval after the last one, if there is work") {
  LoopSchedule schedule(kPolicy, Duration::zero());
  schedule.Start(kBegin);
  CHECK_FALSE(schedule.CommitDue(std::nullopt, kBegin + seconds(10)));
  schedule.NoteWork();
  CHECK_FALSE(schedule.CommitDue(std::nullopt, kBegin + milliseconds(99)));
  CHECK(schedule.Idle(std::nullopt, kBegin + milliseconds(70), milliseconds(50)) ==
        milliseconds(30));
  CHECK(schedule.CommitDue(std::nullopt, kBegin + milliseconds(100)));
  CHECK(schedule.Idle(std::nullopt, kBegin + seconds(1), milliseconds(50)) == Duration::zero());

  schedule.NoteCommit(kBegin + milliseconds(110));
  CHECK_FALSE(schedule.work());
  CHECK_FALSE(schedule.CommitDue(std::nullopt, kBegin + seconds(10)));
  schedule.NoteWork();
  CHECK_FALSE(schedule.CommitDue(std::nullopt, kBegin + milliseconds(200)));
  CHECK(schedule.CommitDue(std::nullopt, kBegin + milliseconds(210)));
}

TEST_CASE("LoopSchedule: a full overlay commits at once, however far the interval") {
  LoopSchedule schedule(kPolicy, Duration::zero());
  schedule.Start(kBegin);
  schedule.NoteWork();
  schedule.NoteOverBudget();
  CHECK(schedule.CommitDue(std::nullopt, kBegin));
  CHECK(schedule.Idle(std::nullopt, kBegin, milliseconds(50)) == Duration::zero());
  schedule.NoteWriteBack(kBegin);
  CHECK_FALSE(schedule.CommitDue(std::nullopt, kBegin));
}

TEST_CASE("LoopSchedule: positions that only passed control records wait, from the first of them") {
  LoopSchedule schedule(kPolicy, Duration::zero());
  schedule.Start(kBegin);
  schedule.NoteMoved(kBegin + milliseconds(10));
  schedule.NoteMoved(kBegin + milliseconds(900));
  CHECK_FALSE(schedule.CommitDue(std::nullopt, kBegin + milliseconds(1009)));
  CHECK(schedule.CommitDue(std::nullopt, kBegin + milliseconds(1010)));
  schedule.ForgetWork();
  CHECK_FALSE(schedule.CommitDue(std::nullopt, kBegin + seconds(10)));
}

TEST_CASE("LoopSchedule: write-backs go on while nothing is committed, but never with work open") {
  LoopSchedule schedule(kPolicy, Duration::zero());
  schedule.Start(kBegin);
  schedule.NoteWriteBack(kBegin);
  CHECK_FALSE(schedule.IdleWriteBackDue(kBegin + milliseconds(999)));
  CHECK(schedule.IdleWriteBackDue(kBegin + seconds(1)));
  schedule.NoteWork();
  CHECK_FALSE(schedule.IdleWriteBackDue(kBegin + seconds(1)));
}

TEST_CASE("LoopSchedule: a loop that was held up runs one window, not all that it missed") {
  LoopSchedule schedule(kPolicy, seconds(1));
  schedule.Start(kBegin);
  CHECK_FALSE(schedule.TakeWindow(kBegin + milliseconds(999)));
  CHECK(schedule.Idle(std::nullopt, kBegin + milliseconds(990), milliseconds(50)) ==
        milliseconds(10));
  CHECK(schedule.TakeWindow(kBegin + seconds(1)));
  CHECK_FALSE(schedule.TakeWindow(kBegin + seconds(1)));
  CHECK(schedule.TakeWindow(kBegin + seconds(2)));  // at the second, not drifting

  CHECK(schedule.TakeWindow(kBegin + seconds(60)));
  CHECK_FALSE(schedule.TakeWindow(kBegin + seconds(60)));
  CHECK_FALSE(schedule.TakeWindow(kBegin + milliseconds(60'499)));
  CHECK(schedule.TakeWindow(kBegin + milliseconds(60'500)));
}

TEST_CASE("LoopSchedule: without windows none ever runs") {
  LoopSchedule schedule(kPolicy, Duration::zero());
  schedule.Start(kBegin);
  CHECK_FALSE(schedule.TakeWindow(kBegin + std::chrono::hours(1)));
  CHECK(schedule.Idle(std::nullopt, kBegin, milliseconds(50)) == milliseconds(50));
}

}  // namespace
}  // namespace coho
