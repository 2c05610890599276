#include <doctest/doctest.h>

#include <future>
#include <set>

#include "operator/kube/work_queue.h"
#include "operator/kube/work_queue_state.h"

namespace coho::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const ObjectKey kA{"web", "a"};
const ObjectKey kB{"web", "b"};

MonotonicTime At(Duration since_start) { return MonotonicTime(since_start); }

std::string Take(WorkQueueState& queue, MonotonicTime now) {
  const auto taken = queue.Take(now);
  return taken ? taken->key.name : "nothing";
}

TEST_CASE("Work queue: a key added many times is handed out once, in order of first adding") {
  WorkQueueState queue;
  CHECK(queue.Add(kA, At(seconds(0))));
  CHECK(queue.Add(kB, At(seconds(1))));
  CHECK(!queue.Add(kA, At(seconds(2))));
  CHECK(queue.depth() == 2);
  const auto first = queue.Take(At(seconds(5)));
  REQUIRE(first);
  CHECK(first->key == kA);
  CHECK(first->waited == seconds(5));
  CHECK(Take(queue, At(seconds(5))) == "b");
  CHECK(Take(queue, At(seconds(5))) == "nothing");
}

TEST_CASE(
    "Work queue: a key added while it is worked on comes again afterwards, not at the same time") {
  WorkQueueState queue;
  queue.Add(kA, At(seconds(0)));
  CHECK(Take(queue, At(seconds(0))) == "a");
  queue.Add(kA, At(seconds(1)));
  queue.Add(kA, At(seconds(2)));
  CHECK(Take(queue, At(seconds(3))) == "nothing");
  queue.Done(kA);
  CHECK(Take(queue, At(seconds(3))) == "a");
  queue.Done(kA);
  CHECK(Take(queue, At(seconds(3))) == "nothing");
}

TEST_CASE("Work queue: of several delays of a key the shortest holds") {
  WorkQueueState queue;
  queue.AddAt(kA, At(seconds(10)));
  queue.AddAt(kA, At(seconds(5)));
  queue.AddAt(kA, At(seconds(20)));
  CHECK(queue.NextDue() == At(seconds(5)));
  CHECK(Take(queue, At(seconds(4))) == "nothing");
  CHECK(Take(queue, At(seconds(5))) == "a");
  CHECK(!queue.NextDue());
}

TEST_CASE("Work queue: back-off doubles from 5 ms to 1000 s, and Forget begins anew") {
  WorkQueueState queue;
  MonotonicTime now = At(seconds(0));
  Duration expected = milliseconds(5);
  for (int i = 0; i < 20; ++i) {
    CHECK(queue.AddAfterFailure(kA, now) == std::min<Duration>(expected, seconds(1000)));
    expected *= 2;
    now += seconds(2000);
    CHECK(Take(queue, now) == "a");
    queue.Done(kA);
  }
  queue.Forget(kA);
  CHECK(queue.AddAfterFailure(kA, now) == milliseconds(5));
}

TEST_CASE("Work queue: many keys that fail at once are spread over time") {
  WorkQueueState queue;
  Duration last{};
  for (int i = 0; i < 300; ++i)
    last = queue.AddAfterFailure({"web", std::to_string(i)}, At(seconds(1)));
  CHECK(last == seconds(20));  // 100 at once, 200 at 10 a second
}

TEST_CASE("Work queue: Take waits for a key, and ends when the queue is stopped") {
  prometheus::Registry registry;
  WorkQueue queue("test", Clock::Real(), registry);
  auto taken = std::async(std::launch::async, [&] { return queue.Take(); });
  queue.Add(kA);
  CHECK(taken.get() == kA);
  queue.AddAfter(kB, milliseconds(1));
  CHECK(queue.Take() == kB);
  auto none = std::async(std::launch::async, [&] { return queue.Take(); });
  queue.Stop();
  CHECK(!none.get());
  queue.Add(kA);
  CHECK(!queue.Take());
  std::set<std::string> names;
  for (const auto& family : queue.Collect()) names.insert(family.name);
  for (const auto& family : registry.Collect()) names.insert(family.name);
  CHECK(names == std::set<std::string>{
                     "workqueue_adds_total", "workqueue_depth",
                     "workqueue_longest_running_processor_seconds",
                     "workqueue_queue_duration_seconds", "workqueue_retries_total",
                     "workqueue_unfinished_work_seconds", "workqueue_work_duration_seconds"});
}

}  // namespace
}  // namespace coho::kube
