// The mains of a worker's and of an operator's process, as worker_main.cc and the operator have
// them.
#include "tests/simulation/shipped/processes.h"

#include <utility>

#include "common/coordinating/service.h"
#include "tests/simulation/shipped/user_task.h"
#include "tests/simulation/shipped/world.h"
#include "worker/drain_state.h"
#include "worker/worker.h"

namespace coho::simulation {
void World::StartWorker(WorkerId worker, const std::string& disk) {
  auto control = std::make_shared<WorkerControl>();
  const std::string name =
      "w" + ToString(worker) + "#" + std::to_string(scheduler_.processes().size());
  cloud_.Trace("start " + name + " on " + disk);
  Pod pod{.worker = worker, .disk = disk, .process = nullptr, .control = control};
  const WorkerProcess process{.job = job_,
                              .user = user_,
                              .oracle = oracle_.get(),
                              .worker = worker,
                              .disk = disk,
                              .coordinates = standalone_ && worker == WorkerId(0)};
  pod.process = scheduler_.Start(name, worker.value(),
                                 [process, control] { RunWorkerProcess(process, control); });
  pods_.push_back(std::move(pod));
}

void RunWorkerProcess(const WorkerProcess& process, const std::shared_ptr<WorkerControl>& control) {
  sim::Cloud& cloud = *sim::Cloud::current;
  sim::Scheduler& scheduler = cloud.scheduler;
  Worker::Options options;
  options.job = process.job;
  options.factory = CountingTasks(process.oracle, process.user);
  options.flags.worker = process.worker;
  options.flags.in_process_coordinator = process.coordinates;
  options.flags.state_dir = process.disk;
  options.flags.node = "node-of-" + process.disk;
  options.kafka = {.bootstrap_servers = "kafka:9092",
                   .client_id = "worker-" + ToString(process.worker)};
  options.wake = [&scheduler, at = control.get()] { scheduler.Notify(at, true); };
  Worker worker(std::move(options));
  if (const Failure failure = worker.Start(); failure.exit_code != kExitOk) {
    cloud.Trace("worker ends: " + failure.message);
    scheduler.EndProcess(failure.exit_code);
  }
  for (DrainState state;;) {
    scheduler.Wait(control.get(), scheduler.now() + std::chrono::milliseconds(500));
    DrainFacts facts{.signals = std::exchange(control->terminate, false) ? 1 : 0};
    facts.drained = worker.drained();
    facts.ended = worker.ended();
    facts.failure = worker.failure();
    facts.now = Clock::Real().Now();
    const DrainOrders orders = state.On(facts);
    if (orders.tell)
      cloud.Trace("worker ends: " + orders.tell->message + " exit " +
                  std::to_string(orders.tell->exit_code));
    if (orders.drain) worker.Drain();
    if (orders.give_up) worker.GiveUp();
    if (orders.end == DrainOrders::End::kExit) scheduler.EndProcess(orders.exit_code);
    if (orders.end == DrainOrders::End::kNotYet) continue;
    sim::Scheduler::CurrentProcess()->exit_code = orders.exit_code;
    return;
  }
}

void World::StartOperator(const std::string& transactional_id, bool rival) {
  const std::string name = "op#" + std::to_string(scheduler_.processes().size());
  cloud_.Trace("start " + name + " as " + transactional_id);
  JobIdentity identity{"uid-1", "default", "cluster-1"};
  if (transactional_id == kRivalInstallation) {
    identity = {"uid-2", "default", "cluster-2"};
  } else if (++operators_begun_ == 1 && late_right_) {
    identity.kubernetes_cluster_uid.clear();
  }
  Operator started{.transactional_id = transactional_id, .rival = rival};
  started.began = scheduler_.now();
  started.process =
      scheduler_.Start(name, 100, [this, transactional_id, identity, seen = started.view] {
        RunOperator(transactional_id, identity, seen);
      });
  operators_.push_back(std::move(started));
}

void World::RunOperator(const std::string& transactional_id, const JobIdentity& identity,
                        const std::shared_ptr<JobView>& seen) {
  const auto service = CoordinationService::Start(
      {.kafka = {.bootstrap_servers = "kafka:9092", .client_id = "coho-operator"},
       .transactional_id = transactional_id,
       .on_change = [](const JobId&) {},
       .on_event = [](const JobId&, const EmitEvent&) {}});
  if (neighbour_ != nullptr && !standalone_ && transactional_id == kOwnOperator) {
    service->SetJob(neighbour_->job(),
                    {"uid-next-door", identity.installation, identity.kubernetes_cluster_uid});
  }
  std::optional<Job> told;
  while (true) {
    if (const Job wanted = JobAsEdited(); told != wanted)
      service->SetJob(*(told = wanted), identity);
    if (tells_pod_facts_) {
      std::map<WorkerId, PodFact> facts;
      for (const auto& [worker, assignment] : folded_.assignment.workers) facts[worker];
      for (const Pod& pod : pods_) {
        if (pod.process->ended) continue;
        PodFact& fact = facts[pod.worker];
        fact.exists = fact.running = true;
      }
      service->SetPodFacts(job_.id, facts);
    }
    scheduler_.Sleep(std::chrono::milliseconds(700));
    const auto view = service->View(job_.id);
    if (!view) continue;
    *seen = *view;
    if (view->prepared) removable_ = view->removable;
  }
}

}  // namespace coho::simulation
