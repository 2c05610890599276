#include "common/coordination/release_ledger.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/base/mutant.h"

namespace coho {

ReleaseLedger::ReleaseLedger(const Assignment& stored, int32_t tasks, bool transactions)
    : transactions_(transactions) {
  for (int32_t i = 0; i < tasks; ++i) doubtful_tasks_.insert(TaskId(i));
  for (const auto& [id, record] : stored.workers) {
    for (const TaskId task : record.active) doubtful_tasks_.erase(task);
    doubtful_workers_[id] = record.generation;
  }
  if (doubtful_tasks_.empty()) doubtful_workers_.clear();
}

void ReleaseLedger::Revoked(TaskId task, WorkerId from, Generation in) {
  COHO_CHECK(in > Generation(), "a task is revoked in a generation");
  const auto hold = held_.find(task);
  COHO_CHECK(hold == held_.end() || hold->second.worker == from,
             "task " + ToString(task) + " is revoked from worker " + ToString(from) +
                 ", and worker " + ToString(hold->second.worker) + " has not released it yet");
  held_[task] = {from, in};
}

void ReleaseLedger::Granted(TaskId task, WorkerId to) {
  COHO_CHECK(MayGrant(task, to), "task " + ToString(task) + " was granted to worker " +
                                     ToString(to) + " while another may write for it");
  held_.erase(task);
  doubtful_tasks_.erase(task);
  if (doubtful_tasks_.empty()) doubtful_workers_.clear();
}

void ReleaseLedger::Prove(WorkerId worker, const std::vector<std::string>& ids,
                          Generation through) {
  for (const std::string& id : ids) {
    Generation& proven = proven_[worker][id];
    proven = std::max(proven, through);
  }
}

void ReleaseLedger::Settle(const Assignment& assignment) {
  for (const auto& [task, hold] : held_) {
    COHO_CHECK(hold.revoked_in <= assignment.generation,
               "task " + ToString(task) + " was revoked in generation " +
                   ToString(hold.revoked_in) + ", the assignment is of " +
                   ToString(assignment.generation));
  }
  const auto released = [&](WorkerId worker, Generation through) {
    const auto record = assignment.workers.find(worker);
    return record == assignment.workers.end() || Unproven(worker, record->second, through).empty();
  };
  std::erase_if(held_, [&](const auto& entry) {
    return released(entry.second.worker, entry.second.revoked_in);
  });
  std::erase_if(doubtful_workers_,
                [&](const auto& entry) { return released(entry.first, entry.second); });
  if (doubtful_workers_.empty()) doubtful_tasks_.clear();
}

bool ReleaseLedger::MayGrant(TaskId task, WorkerId to) const {
  if (COHO_MUTANT("grant-before-release")) return true;
  const auto hold = held_.find(task);
  if (hold != held_.end() && (!transactions_ || hold->second.worker != to)) return false;
  if (!doubtful_tasks_.contains(task)) return true;
  return std::all_of(doubtful_workers_.begin(), doubtful_workers_.end(),
                     [&](const auto& entry) { return transactions_ && entry.first == to; });
}

std::map<WorkerId, Generation> ReleaseLedger::Awaited() const {
  std::map<WorkerId, Generation> awaited = doubtful_workers_;
  for (const auto& [task, hold] : held_) {
    Generation& through = awaited[hold.worker];
    through = std::max(through, hold.revoked_in);
  }
  return awaited;
}

std::vector<std::string> ReleaseLedger::Unproven(WorkerId worker, const WorkerAssignment& record,
                                                 Generation through) const {
  const auto proofs = proven_.find(worker);
  std::vector<std::string> unproven;
  for (const std::string& id : record.transactional_ids) {
    if (proofs != proven_.end()) {
      const auto proof = proofs->second.find(id);
      if (proof != proofs->second.end() &&
          (proof->second >= through || COHO_MUTANT("generation-not-checked")))
        continue;
    }
    unproven.push_back(id);
  }
  return unproven;
}

}  // namespace coho
