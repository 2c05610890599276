// A worker ends when it was told to, with the code it promised, whatever its user's code does.
#include <doctest/doctest.h>
#include <signal.h>

#include "common/contract/exit_codes.h"
#include "tests/integration/worker/test_job.h"
#include "tests/integration/worker/traffic.h"

namespace coho::test {
namespace {

struct Hanging {
  Hanging() : job({.task = "hang", .partitions = 2, .run_loops = 2}), in(job.input()) {
    worker = job.Start();
    worker->AwaitReady();
    in.Send("k", "hang", 0);
    in.Flush();
    AwaitThat("the task hangs", seconds(30),
              [&] { return worker->Log().find("the task hangs") != std::string::npos; });
  }
  TestJob job;
  TopicWriter in;
  std::unique_ptr<WorkerProcess> worker;
};

TEST_CASE("worker: SIGTERM ends it after the drain time with its code, though user code hangs") {
  Hanging hanging;
  hanging.worker->Signal(SIGTERM);
  CHECK(hanging.worker->AwaitExit(seconds(32)) == kExitKafkaUnavailable);
}

TEST_CASE("worker: a second SIGTERM ends it at once, though user code hangs") {
  Hanging hanging;
  hanging.worker->Signal(SIGTERM);
  AwaitThat("draining", seconds(10),
            [&] { return hanging.worker->Log().find("draining") != std::string::npos; });
  hanging.worker->Signal(SIGTERM);
  CHECK(hanging.worker->AwaitExit(seconds(5)) == 128 + SIGTERM);
}

TEST_CASE("worker: a failed task beside a hanging one ends it with the failure's code") {
  Hanging hanging;
  hanging.in.Send("k", "throw", 1);
  hanging.in.Flush();
  CHECK(hanging.worker->AwaitExit(seconds(15)) == kExitTaskFailed);
}

}  // namespace
}  // namespace coho::test
