// Somebody else's job on the same Kafka, coordinated by the same operator: two workers that nothing
// happens to but what happens to all (Kafka away, power cut). Whatever becomes of the job beside
// it, its tasks stay where they are, nobody takes their producers' power, and what it was fed comes
// out (errors of one job never touch another).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/model/assignment.h"
#include "common/model/job.h"
#include "tests/simulation/shipped/oracle.h"
#include "tests/simulation/shipped/processes.h"
#include "tests/support/sim/cloud.h"

namespace coho::simulation {

class Neighbour {
 public:
  // `violate`: says what does not hold.
  Neighbour(sim::Cloud* cloud, uint64_t seed, bool standalone,
            std::function<void(const std::string&)> violate);
  void Start();
  [[nodiscard]] const Job& job() const { return job_; }
  void KillAll();
  void StopFeeding() { feeding_ = false; }
  // Everything that was fed has come out.
  [[nodiscard]] std::string Missing() const { return oracle_.Missing(); }

 private:
  struct Worker {
    std::shared_ptr<WorkerControl> control;
    sim::Process* process = nullptr;
  };
  void Keep();
  void Feed();
  void Check();

  sim::Cloud& cloud_;
  sim::Dice draw_;
  const bool standalone_;
  const std::function<void(const std::string&)> violate_;
  Job job_;
  UserTask user_;
  Oracle oracle_;
  std::vector<Worker> workers_;
  bool feeding_ = true;
  bool settled_ = false;
  CoordinatorState folded_;
  int64_t folded_to_ = 0;
  std::map<TaskId, WorkerId> owners_;
};

}  // namespace coho::simulation
