// The mains of a worker's and of an operator's process, as worker_main.cc and the operator have
// them.
#include <utility>

#include "common/coordinating/service.h"
#include "tests/simulation/shipped/user_task.h"
#include "tests/simulation/shipped/world.h"
#include "worker/drain_state.h"
#include "worker/worker.h"

namespace coho::simulation {
void World::StartWorker(WorkerId worker, const std::string& disk) {
  auto control = std::make_shared<Pod::Control>();
  const std::string name =
      "w" + ToString(worker) + "#" + std::to_string(scheduler_.processes().size());
  cloud_.Trace("start " + name + " on " + disk);
  Pod pod{.worker = worker, .disk = disk, .process = nullptr, .control = control};
  pod.process = scheduler_.Start(
      name, worker.value(), [this, control, worker, disk] { RunWorker(control, worker, disk); });
  pods_.push_back(std::move(pod));
}

void World::RunWorker(const std::shared_ptr<Pod::Control>& control, WorkerId id,
                      const std::string& disk) {
  Worker::Options options;
  options.job = job_;
  options.factory = CountingTasks(oracle_.get(), user_);
  options.flags.worker = id;
  options.flags.in_process_coordinator = standalone_ && id == WorkerId(0);
  options.flags.state_dir = disk;
  options.flags.node = "node-of-" + disk;
  options.kafka = {.bootstrap_servers = "kafka:9092", .client_id = "worker-" + ToString(id)};
  options.wake = [this, at = control.get()] { scheduler_.Notify(at, true); };
  Worker worker(std::move(options));
  if (const Failure failure = worker.Start(); failure.exit_code != kExitOk) {
    cloud_.Trace("worker ends: " + failure.message);
    scheduler_.EndProcess(failure.exit_code);
  }
  for (DrainState state;;) {
    scheduler_.Wait(control.get(), scheduler_.now() + std::chrono::milliseconds(500));
    DrainFacts facts{.signals = std::exchange(control->terminate, false) ? 1 : 0};
    facts.drained = worker.drained();
    facts.ended = worker.ended();
    facts.failure = worker.failure();
    facts.now = Clock::Real().Now();
    const DrainOrders orders = state.On(facts);
    if (orders.tell)
      cloud_.Trace("worker ends: " + orders.tell->message + " exit " +
                   std::to_string(orders.tell->exit_code));
    if (orders.drain) worker.Drain();
    if (orders.give_up) worker.GiveUp();
    if (orders.end == DrainOrders::End::kExit) scheduler_.EndProcess(orders.exit_code);
    if (orders.end == DrainOrders::End::kNotYet) continue;
    sim::Scheduler::CurrentProcess()->exit_code = orders.exit_code;
    return;
  }
}

void World::StartOperator(const std::string& transactional_id, bool rival) {
  const std::string name = "op#" + std::to_string(scheduler_.processes().size());
  cloud_.Trace("start " + name + " as " + transactional_id);
  sim::Process* process =
      scheduler_.Start(name, 100, [this, transactional_id] { RunOperator(transactional_id); });
  operators_.push_back({.process = process, .transactional_id = transactional_id, .rival = rival});
}

void World::RunOperator(const std::string& transactional_id) {
  const auto service = CoordinationService::Start(
      {.kafka = {.bootstrap_servers = "kafka:9092", .client_id = "coho-operator"},
       .transactional_id = transactional_id,
       .on_change = [](const JobId&) {},
       .on_event = [](const JobId&, const EmitEvent&) {}});
  std::optional<Job> told;
  while (true) {
    if (told != job_) service->SetJob(*(told = job_));
    if (tells_pod_facts_) {
      std::map<WorkerId, PodFact> facts;
      for (const Pod& pod : pods_) {
        if (pod.process->ended) continue;
        PodFact& fact = facts[pod.worker];
        fact.exists = fact.running = true;
      }
      service->SetPodFacts(job_.id, facts);
    }
    scheduler_.Sleep(std::chrono::milliseconds(700));
    const auto view = service->View(job_.id);
    if (view && view->prepared) removable_ = view->removable;
  }
}

}  // namespace coho::simulation
