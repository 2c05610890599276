// Which processes of a worker there are, and which of them may still write. See coordinator.h.
#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "common/base/mutant.h"
#include "common/coordination/coordinator.h"

namespace coho {
namespace {

// Of a worker: as many as may end within the time that a heartbeat is on its way.
constexpr size_t kIncarnationsRemembered = 32;

}  // namespace

// A new process of the worker: what the older one said of itself no longer counts (what it proved
// still does).
void Coordinator::TakeIncarnation(const Heartbeat& beat) {
  CoordinatorWorker& worker = workers_[beat.worker];
  Memory& memory = memory_[beat.worker];
  const auto supersede = [&](const std::string& incarnation) {
    if (incarnation.empty() || incarnation == beat.incarnation) return;
    std::erase(memory.superseded, incarnation);
    if (memory.superseded.size() >= kIncarnationsRemembered)
      memory.superseded.erase(memory.superseded.begin());
    memory.superseded.push_back(incarnation);
  };
  supersede(worker.incarnation);
  const auto record = assignment_.workers.find(beat.worker);
  if (record != assignment_.workers.end()) supersede(record->second.incarnation);
  std::erase(memory.superseded, beat.incarnation);
  memory.sequence = memory.reported = -1;
  memory.ran = false;
  memory.alive_since = hearing_.now();
  worker.incarnation = beat.incarnation;
  worker.acknowledged = Generation();
  worker.report.reset();
  replan_ = true;
}

// What is on record as replaced stays so. What only this coordinator took for older may have been
// newer after all, where the other one does not live.
bool Coordinator::IsReplaced(const Heartbeat& beat, bool historical) const {
  if (COHO_MUTANT("older-incarnation-speaks")) return false;
  const auto record = assignment_.workers.find(beat.worker);
  if (record != assignment_.workers.end()) {
    const auto& [replaced, named] = std::tie(record->second.replaced, record->second.incarnation);
    if (std::find(replaced.begin(), replaced.end(), beat.incarnation) != replaced.end())
      return true;
    if (historical && !named.empty() && named != beat.incarnation) return true;
  }
  const auto memory = memory_.find(beat.worker);
  const auto worker = workers_.find(beat.worker);
  if (memory == memory_.end() || worker == workers_.end()) return false;
  const std::vector<std::string>& superseded = memory->second.superseded;
  return std::find(superseded.begin(), superseded.end(), beat.incarnation) != superseded.end() &&
         (historical || worker->second.standing == WorkerStanding::kAlive);
}

void Coordinator::NoteProcess(const Heartbeat& beat, bool historical) {
  if (options_.transactions) return;
  // A goodbye is true for ever; anything else that was said before is no sign of life.
  const bool goodbye = beat.phase == WorkerPhase::kGone;
  if (historical && !goodbye) return;
  std::map<std::string, Process>& processes = memory_[beat.worker].processes;
  const MonotonicTime now = hearing_.now();
  Process& process =
      processes.try_emplace(beat.incarnation, Process{now, now, false, false}).first->second;
  process.gone = process.gone || goodbye;
  if (historical) return;
  process.heard_at = now;
  process.heard_lately = true;
  const auto over = [&](const auto& entry) {
    return entry.first != beat.incarnation && LeaseOver(entry.second);
  };
  if (processes.size() > kIncarnationsRemembered) std::erase_if(processes, over);
}

bool Coordinator::LeaseOver(const Process& process) const {
  if (process.gone || COHO_MUTANT("lease-not-waited-for")) return true;
  return !process.heard_lately &&
         hearing_.now() - process.heard_at > std::max(options_.session_timeout, process.session);
}

bool Coordinator::OthersOver(WorkerId id, const std::string& incarnation) const {
  const auto memory = memory_.find(id);
  return memory == memory_.end() ||
         std::all_of(memory->second.processes.begin(), memory->second.processes.end(),
                     [&](const auto& entry) {
                       return entry.first == incarnation || LeaseOver(entry.second);
                     });
}

// Only the named process can run the tasks of the record: none was granted to it before whoever was
// named earlier was over, and who was never named never had any. So after its goodbye nobody is
// left but those who were heard, and one that was not may be there for all we care.
bool Coordinator::OwnerIsGone(WorkerId id, const std::string& named,
                              const std::string& successor) const {
  const auto memory = memory_.find(id);
  if (memory == memory_.end()) return false;
  const std::map<std::string, Process>& processes = memory->second.processes;
  const auto owner = processes.find(named);
  if (owner == processes.end() || !owner->second.gone) return false;
  return std::all_of(processes.begin(), processes.end(), [&](const auto& entry) {
    return entry.first.empty() || entry.first == successor || LeaseOver(entry.second);
  });
}

// How long a process may go on unheard, by the job file that it was started with: an edit of the
// job reaches one process after the other.
void Coordinator::NoteSession(const Heartbeat& beat) {
  for (auto& [incarnation, process] : memory_[beat.worker].processes) {
    if (incarnation.empty() || incarnation == beat.incarnation)
      process.session = std::max(process.session, beat.session);
  }
}

// Whatever it said, it lives: one of which nothing is understood grows silent, and can be given
// nothing more, but it is not lost, and what it has stays its own.
void Coordinator::OnUnreadable(WorkerId id) {
  const auto worker = workers_.find(id);
  if (worker == workers_.end()) return;
  Memory& memory = memory_[id];
  for (auto& [incarnation, process] : memory.processes) {
    process.heard_at = hearing_.now();
    process.heard_lately = true;
  }
  if (worker->second.standing == WorkerStanding::kSilent) memory.silent_since = hearing_.now();
}

}  // namespace coho
