// A worker's process, as worker_main.cc has it.
#pragma once

#include <memory>
#include <string>

#include "common/base/ids.h"
#include "common/model/job.h"
#include "tests/simulation/shipped/oracle.h"
#include "tests/simulation/shipped/user_task.h"

namespace coho::simulation {

// Shared with the process.
struct WorkerControl {
  bool terminate = false;
};

struct WorkerProcess {
  Job job;
  UserTask user;
  Oracle* oracle = nullptr;
  WorkerId worker;
  std::string disk;
  bool coordinates = false;
};

// Its main; ends the process that it runs in.
void RunWorkerProcess(const WorkerProcess& process, const std::shared_ptr<WorkerControl>& control);

}  // namespace coho::simulation
