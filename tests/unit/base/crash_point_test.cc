#include "common/base/crash_point.h"

#include <doctest/doctest.h>
#include <sys/wait.h>

namespace coho {
namespace {

TEST_CASE("a crash is planned for the n-th pass of one point, and happens once") {
  PlannedCrash third("commit/sent:3");
  CHECK_FALSE(third.Passed("commit/sent"));
  CHECK_FALSE(third.Passed("commit/begun"));
  CHECK_FALSE(third.Passed("commit/sent"));
  CHECK(third.Passed("commit/sent"));
  CHECK_FALSE(third.Passed("commit/sent"));
}

TEST_CASE("without a number the first pass; without a plan none") {
  PlannedCrash first("commit/sent");
  CHECK(first.Passed("commit/sent"));
  PlannedCrash none(nullptr);
  CHECK_FALSE(none.Passed("commit/sent"));
  CHECK_FALSE(none.Passed(""));
}

TEST_CASE("the process ends by SIGKILL") {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::setenv("COHO_CRASH_AT", "here", 1);
    CrashPoint("there");
    CrashPoint("here");
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGKILL);
}

}  // namespace
}  // namespace coho
