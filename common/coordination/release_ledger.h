// Tasks between two owners, and what proves that the former owner can write nothing more (R1).
//
// A proof is about a transactional id: "whatever process used this id has closed all that
// generation g does not give to the worker, or is powerless". It comes from the acknowledgement of
// a process that has initialised the id itself (which fenced every older one), or from a fence that
// was asked for after g was committed. A worker has released a task of generation g when each id
// recorded for it is proven up to g: a process that was started with fewer run loops proves nothing
// about the ids of its predecessor that it does not use.
//
// Pure; thread-compatible.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/model/assignment.h"

namespace coho {

class ReleaseLedger {
 public:
  ReleaseLedger() = default;
  // `transactions`: a worker's next process fences its last one, so a task may go back to the
  // worker that has not released it. After a restart nobody knows who had the tasks that have no
  // owner: any recorded worker may, until it has released its record.
  ReleaseLedger(const Assignment& stored, int32_t tasks, bool transactions);

  // The generation `in`, which takes `task` from `from`, is committed. REQUIRES: nobody else holds
  // the task still.
  void Revoked(TaskId task, WorkerId from, Generation in);
  // A generation that gives it to `to` is committed. REQUIRES: MayGrant.
  void Granted(TaskId task, WorkerId to);
  void Prove(WorkerId worker, const std::vector<std::string>& ids, Generation through);
  // Drops what is proven by now. REQUIRES: `assignment` is the last committed one.
  void Settle(const Assignment& assignment);

  // Nobody else can write for the task.
  [[nodiscard]] bool MayGrant(TaskId task, WorkerId to) const;
  // Workers that still have to release something, and up to which generation.
  [[nodiscard]] std::map<WorkerId, Generation> Awaited() const;
  // Recorded ids of the worker for which nothing proves `through`.
  [[nodiscard]] std::vector<std::string> Unproven(WorkerId worker, const WorkerAssignment& record,
                                                  Generation through) const;

 private:
  bool transactions_ = true;
  struct Hold {
    WorkerId worker;
    Generation revoked_in;
  };
  std::map<WorkerId, std::map<std::string, Generation>> proven_;
  std::map<TaskId, Hold> held_;
  std::set<TaskId> doubtful_tasks_;                  // former owner unknown
  std::map<WorkerId, Generation> doubtful_workers_;  // any of these may have them
};

}  // namespace coho
