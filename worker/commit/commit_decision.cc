#include "worker/commit/commit_decision.h"

#include <algorithm>
#include <cstddef>

namespace coho {

std::optional<MonotonicTime> NextCommit(const CommitPolicy& policy, const CommitFacts& facts) {
  if (facts.over_budget) return MonotonicTime::min();
  std::optional<MonotonicTime> next;
  if (facts.work) next = facts.last_commit + policy.commit_interval;
  if (facts.moved_since) {
    const MonotonicTime idle = *facts.moved_since + policy.idle_interval;
    if (!next || idle < *next) next = idle;
  }
  if (facts.transaction_since && policy.transaction_age_max) {
    const MonotonicTime latest = *facts.transaction_since + *policy.transaction_age_max;
    if (!next || latest < *next) next = latest;
  }
  return next;
}

bool IsCommitDue(const CommitPolicy& policy, const CommitFacts& facts, MonotonicTime now) {
  const auto next = NextCommit(policy, facts);
  return next && *next <= now;
}

namespace {

void RelieveMemory(const CommitPolicy& policy, std::span<const StoreFacts> stores,
                   std::vector<WriteBackDecision>* decisions) {
  int64_t dirty = 0;
  for (const StoreFacts& store : stores) dirty += store.dirty_bytes;
  if (dirty <= policy.dirty_bytes_max) return;
  std::vector<size_t> by_size(stores.size());
  for (size_t i = 0; i < by_size.size(); ++i) by_size[i] = i;
  std::stable_sort(by_size.begin(), by_size.end(), [&](size_t a, size_t b) {
    return stores[a].dirty_bytes > stores[b].dirty_bytes;
  });
  for (const size_t i : by_size) {
    if (dirty <= policy.dirty_bytes_max / 2) return;
    (*decisions)[i].write_back = true;
    dirty -= stores[i].dirty_bytes;
  }
}

}  // namespace

std::vector<WriteBackDecision> DecideWriteBack(const CommitPolicy& policy,
                                               std::span<const StoreFacts> stores,
                                               MonotonicTime now) {
  std::vector<WriteBackDecision> decisions(stores.size());
  for (size_t i = 0; i < stores.size(); ++i) decisions[i].write_back = stores[i].over_budget;
  RelieveMemory(policy, stores, &decisions);

  std::vector<size_t> due;
  for (size_t i = 0; i < stores.size(); ++i) {
    if (stores[i].unflushed_since && now - *stores[i].unflushed_since >= policy.flush_interval)
      due.push_back(i);
  }
  std::stable_sort(due.begin(), due.end(), [&](size_t a, size_t b) {
    return *stores[a].unflushed_since < *stores[b].unflushed_since;
  });
  due.resize((due.size() + 7) / 8);
  for (const size_t i : due) decisions[i] = {.write_back = true, .flush = true};
  return decisions;
}

}  // namespace coho
