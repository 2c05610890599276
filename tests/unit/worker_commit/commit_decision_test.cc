#include "worker/commit/commit_decision.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

namespace coho {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

MonotonicTime At(Duration d) { return MonotonicTime(d); }

const CommitPolicy kPolicy = {.commit_interval = milliseconds(100),
                              .idle_interval = seconds(1),
                              .flush_interval = seconds(30),
                              .dirty_bytes_max = 1000,
                              .transaction_age_max = seconds(10)};

TEST_CASE("IsCommitDue") {
  struct Row {
    const char* name;
    CommitFacts facts;
    Duration now;
    bool due;
  };
  const Row rows[] = {
      {"nothing to commit", {.last_commit = At(seconds(0))}, seconds(1000), false},
      {"work, too early",
       {.last_commit = At(seconds(5)), .work = true},
       seconds(5) + milliseconds(99),
       false},
      {"work, in time",
       {.last_commit = At(seconds(5)), .work = true},
       seconds(5) + milliseconds(100),
       true},
      {"only control records passed, too early",
       {.last_commit = At(seconds(0)), .moved_since = At(seconds(5))},
       milliseconds(5999),
       false},
      {"only control records passed, a second later",
       {.last_commit = At(seconds(0)), .moved_since = At(seconds(5))},
       seconds(6),
       true},
      {"control records and work: work decides",
       {.last_commit = At(seconds(5)), .work = true, .moved_since = At(seconds(5))},
       milliseconds(5100),
       true},
      {"a store is full",
       {.last_commit = At(seconds(5)), .work = true, .over_budget = true},
       seconds(5),
       true},
      {"a transaction grows old before the interval is over",
       {.last_commit = At(seconds(5)), .transaction_since = At(seconds(5))},
       seconds(15),
       true},
      {"a transaction is young",
       {.last_commit = At(seconds(5)), .transaction_since = At(seconds(5))},
       seconds(14),
       false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    CHECK(IsCommitDue(kPolicy, row.facts, At(row.now)) == row.due);
  }
}

TEST_CASE("NextCommit: the moment at which IsCommitDue begins to say yes") {
  std::mt19937 random(20261121);
  for (int i = 0; i < 1000; ++i) {
    CAPTURE(i);
    CommitFacts facts{.last_commit = At(milliseconds(random() % 5000)), .work = random() % 2 == 0};
    if (random() % 2 == 0) facts.moved_since = At(milliseconds(random() % 5000));
    const auto next = NextCommit(kPolicy, facts);
    if (!next) {
      CHECK_FALSE(IsCommitDue(kPolicy, facts, At(std::chrono::hours(1))));
      continue;
    }
    CHECK(IsCommitDue(kPolicy, facts, *next));
    CHECK_FALSE(IsCommitDue(kPolicy, facts, *next - Duration(1)));
  }
}

TEST_CASE("DecideWriteBack: clean stores are left alone") {
  const StoreFacts stores[] = {{}, {}};
  const auto decisions = DecideWriteBack(kPolicy, stores, At(std::chrono::hours(1)));
  CHECK(decisions == std::vector<WriteBackDecision>(2));
}

TEST_CASE("DecideWriteBack: a store over its budget writes back, without a flush") {
  const StoreFacts stores[] = {
      {.dirty_bytes = 10, .unflushed_since = At(seconds(1))},
      {.dirty_bytes = 10, .over_budget = true, .unflushed_since = At(seconds(1))}};
  const auto decisions = DecideWriteBack(kPolicy, stores, At(seconds(2)));
  CHECK(decisions[0] == WriteBackDecision{});
  CHECK(decisions[1] == WriteBackDecision{.write_back = true});
}

TEST_CASE("DecideWriteBack: past the loop's limit the largest go first, until half of it is free") {
  const StoreFacts stores[] = {{.dirty_bytes = 100}, {.dirty_bytes = 600}, {.dirty_bytes = 301}};
  const auto decisions = DecideWriteBack(kPolicy, stores, At(seconds(2)));
  CHECK_FALSE(decisions[0].write_back);
  CHECK(decisions[1].write_back);
  CHECK_FALSE(decisions[2].write_back);
}

TEST_CASE(
    "DecideWriteBack: what is older than the flush interval is flushed, an eighth at a time, "
    "oldest first") {
  std::vector<StoreFacts> stores;
  for (int i = 0; i < 16; ++i)
    stores.push_back({.dirty_bytes = 1, .unflushed_since = At(seconds(20 - i))});
  const MonotonicTime now = At(seconds(60));
  auto decisions = DecideWriteBack(kPolicy, stores, now);
  CHECK(decisions[15] == WriteBackDecision{.write_back = true, .flush = true});
  CHECK(decisions[14] == WriteBackDecision{.write_back = true, .flush = true});
  CHECK(std::count_if(decisions.begin(), decisions.end(), [](const auto& d) { return d.flush; }) ==
        2);

  // However many there are, all are flushed within a bounded number of commits.
  int commits = 0;
  while (std::any_of(stores.begin(), stores.end(),
                     [](const auto& s) { return s.unflushed_since.has_value(); })) {
    REQUIRE(++commits < 40);
    decisions = DecideWriteBack(kPolicy, stores, now);
    for (size_t i = 0; i < stores.size(); ++i) {
      if (decisions[i].flush) stores[i] = {};
    }
  }
}

}  // namespace
}  // namespace coho
