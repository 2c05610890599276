// A small Kafka, some workers and some coordinators in one thread, in virtual time, driven by one seed: the coordination protocol
// under crashes, restarts, pauses, lost, late and doubled heartbeats, failed writes and fences, coordinators that follow or
// fight each other, and changes of scale. Every step checks what must hold at every moment; a run ends in a calm in which
// everything has to come to rest. The same seed gives the same trace.
//
// Workers follow the rules that coordinator.h states; `Bug` plants a violation of one of them, which some seed must find.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/coordination/coordinator.h"
#include "common/model/assignment.h"

namespace coho::simulation {

enum class Bug {
  kNone,
  kAckBeforeClose,  // worker acknowledges what it has read, not what it has closed
  kAckUnverified,  // worker obeys without a commit on its producers: it may be fenced and not know it
  kReadBeforeInit,     // worker reads the coordinator topic before it initialises its producers
  kIgnoresForeignIds,  // worker leaves recorded ids unfenced that it does not use
  kUsesUnrecordedIds,  // worker opens tasks on ids that are not recorded
  kFenceBeforeCommit,  // driver says "written" before the transaction is committed, so fences come too early
  kFenceSkipped,           // driver says "fenced" and did nothing
  kDriverReadsBeforeInit,  // driver reads the coordinator topic before it fences the older coordinator
};

// Deterministic on every machine: mt19937_64 and arithmetic of our own, no distributions.
class Dice {
 public:
  explicit Dice(uint64_t seed) : engine_(seed) {}
  [[nodiscard]] int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(engine_() % static_cast<uint64_t>(high - low + 1));
  }
  [[nodiscard]] bool Percent(int64_t chance) { return Between(0, 99) < chance; }

 private:
  std::mt19937_64 engine_;
};

// The coordinator topic after each committed transaction, the heartbeats topic, and the epoch of every transactional id.
struct Kafka {
  std::vector<CoordinatorState> states = {CoordinatorState()};
  std::vector<Heartbeat> heartbeats;
  std::map<std::string, int64_t> epochs;
  int64_t coordinator_epoch = 0;
};

class World;
class Driver;

// One process of a worker. Several of one worker may live at once, as after a forced deletion.
class Process {
 public:
  Process(WorkerId worker, std::string incarnation, int32_t run_loops);
  void Step(World* world);
  void Beat(World* world, WorkerPhase phase);
  void Stop(World* world);  // SIGTERM: commit, close, goodbye

  // May still commit for the task: it is open on a producer that is not fenced.
  [[nodiscard]] bool CanCommit(const World& world, TaskId task) const;
  [[nodiscard]] bool AllCurrent(const World& world) const;

  WorkerId worker;
  std::string incarnation;
  std::vector<std::string> ids;
  std::map<std::string, int64_t> epochs;
  std::map<TaskId, std::string> open;  // task -> the id it commits with
  bool alive = true;
  bool paused = false;

 private:
  enum class Stage { kInit, kRead, kForeign, kFollow, kOpen };
  void Obey(World* world);
  void OpenTasks(World* world);
  void Fenced(World* world);
  [[nodiscard]] const WorkerAssignment* Record(const World& world) const;
  [[nodiscard]] std::set<TaskId> Wanted(const World& world) const;

  Stage stage_ = Stage::kInit;
  size_t position_ = 0;  // of Kafka::states
  Generation obeyed_;    // of the record
  Generation acknowledged_;
  int64_t sequence_ = 0;
  MonotonicTime next_beat_;
  MonotonicTime next_report_;
};

// Performs a coordinator's actions, as the service does.
class Driver {
 public:
  explicit Driver(World* world);
  void Step(World* world);
  [[nodiscard]] const Coordinator& coordinator() const { return *coordinator_; }
  // When it decided on its last write: desired workers, and those past their homecoming.
  [[nodiscard]] int32_t workers() const { return decided_for_; }
  [[nodiscard]] const std::set<WorkerId>& lost() const { return decided_without_; }
  bool paused = false;
  bool dead = false;

 private:
  void Take(World* world, CoordinatorActions actions);
  void Perform(World* world);
  void WriteNow(World* world, const WriteRecords& write);

  int64_t epoch_ = 0;
  CoordinatorOptions options_;
  int32_t decided_for_ = 0;
  std::set<WorkerId> decided_without_;
  std::unique_ptr<Coordinator> coordinator_;
  size_t heartbeats_read_ = 0;
  std::vector<CoordinatorAction> to_do_;
  std::optional<std::pair<Generation, bool>> written_;  // done, but not told yet
  std::vector<WriteRecords> late_writes_;               // kFenceBeforeCommit
};

class World {
 public:
  World(uint64_t seed, Bug bug);
  // Runs to the end or to the first violation, which it returns; empty: all held.
  std::string Run();
  [[nodiscard]] uint64_t trace_hash() const { return hash_; }
  [[nodiscard]] int64_t generations() const;

  void Trace(const std::string& line);
  void Violate(const std::string& what);
  void CommitRecords(const std::vector<TopicRecord>& records, const Driver& by);
  void Send(Heartbeat beat);

  Dice dice;
  Bug bug;
  Kafka kafka;
  MonotonicTime now{};
  [[nodiscard]] WallTime wall() const { return WallTime(now.time_since_epoch()); }
  CoordinatorOptions options;
  JobModel model;
  bool faults = true;
  bool tell = false;  // print the trace
  std::vector<std::unique_ptr<Process>> processes;
  std::vector<std::unique_ptr<Driver>> drivers;  // the last one is the latest

 private:
  struct Late {
    MonotonicTime at;
    Heartbeat beat;
  };
  void StepAll();
  void Fault();
  void StartMissing(int64_t chance);
  void StartProcess(WorkerId worker);
  void CheckOwners();
  void CalmDown();
  [[nodiscard]] bool AtRest() const;
  void CheckRest();

  std::vector<Late> late_;
  std::string violation_;
  uint64_t hash_ = 1469598103934665603ULL;
  int64_t incarnations_ = 0;
};

}  // namespace coho::simulation
