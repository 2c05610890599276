// Which copies of the state lie where: what workers report, what of it is on record, and what is to
// be written. Pure; thread-compatible.
//
// A report replaces what was known of its worker: a copy that it does not name is gone, and on
// another disk than before nothing is left of what was. A disk is in one place: one that another
// worker reports now is not where it was, and took its copies along (a volume that came to another
// pod). On record
// goes only what would change a decision (another disk, another set of copies, sizes that differ
// much), a record per worker, never together with a generation.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/model/assignment.h"

namespace coho {

class Inventory {
 public:
  explicit Inventory(Copies recorded = {});

  // `owned`: the tasks that the assignment gives to the worker.
  void Observe(WorkerId worker, const WorkerReport& report, const std::set<TaskId>& owned,
               WallTime wall);
  // Its disk is gone.
  void Forget(WorkerId worker);

  // As reported last, whether on record or not.
  [[nodiscard]] const Copies& copies() const { return copies_; }
  // Bytes of the task's largest copy.
  [[nodiscard]] int64_t BytesOf(TaskId task) const;

  // Something should be written; another disk or another set of copies at once, sizes now and then.
  [[nodiscard]] bool Due(MonotonicTime now) const;
  // The records that are due. REQUIRES: none is under way. Answered by Written.
  [[nodiscard]] std::vector<TopicRecord> Write();
  void Written(bool ok, MonotonicTime now);

 private:
  void TakeAlong(WorkerId worker, const std::string& disk_id);
  enum class Urgency { kLater, kNow };
  void Changed(WorkerId worker, Urgency urgency);

  Copies copies_;
  Copies recorded_;
  std::map<WorkerId, Urgency> changed_;  // since they were written
  std::optional<Copies> under_way_;      // a worker without tasks: is to be forgotten
  std::optional<MonotonicTime> written_at_;
};

}  // namespace coho
