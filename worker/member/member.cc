#include "worker/member/member.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <variant>

#include "common/base/log.h"
#include "common/base/mailbox.h"
#include "common/kafka/admin.h"
#include "common/kafka/producer.h"
#include "worker/loop/failure.h"
#include "worker/member/coordinator_topic.h"
#include "worker/member/heartbeat_sender.h"
#include "worker/restore/restorer.h"

namespace coho {
namespace {

constexpr Duration kIdlePoll = std::chrono::milliseconds(100);
// While a loop is about to answer.
constexpr Duration kBusyPoll = std::chrono::milliseconds(10);
constexpr Duration kReportEvery = std::chrono::milliseconds(200);
constexpr Duration kListDiskEvery = std::chrono::seconds(30);
constexpr Duration kRequestTimeout = std::chrono::seconds(5);
constexpr Duration kRetryAfter = std::chrono::milliseconds(200);

std::string NewIncarnation() {
  std::random_device random;
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (int i = 0; i < 16; ++i) out += kHex[random() % 16];
  return out;
}

struct LoopMessage {
  int32_t loop = 0;
  LoopEvent event;
};
struct DrainMessage {};
struct QuitMessage {};
using Message = std::variant<LoopMessage, DrainMessage, QuitMessage>;

}  // namespace

struct Member::Impl {
  explicit Impl(Options o)
      : options(std::move(o)),
        clock(*options.clock),
        state(options.state, clock.Now()),
        sender(options.kafka, options.job->HeartbeatsTopic()),
        incarnation(NewIncarnation()),
        started_at(clock.Now()) {
    progress = started_at.time_since_epoch().count();
    published.started_at_ms = ToUnixMillis(clock.WallNow());
    published.waiting_for = "Kafka";
  }

  void Run();
  bool WaitForTopics();
  void Turn();
  bool HandleMessages();
  void HandleLoopEvent(LoopMessage message);
  void OnLoopGone();
  void Perform(const MemberActions& actions);
  bool Fence(const FenceIds& fence);  // false: the worker ends
  void Grant(const GrantTask& grant);
  void Beat(const SendHeartbeat& beat);
  void PollTopic();
  void BeginReading();
  void NoteReadToEnd();
  void RefreshReport();
  void Publish();
  void Fail(const Status& status, const std::string& what);
  void WaitFor(std::string what);
  void Step(std::string_view name, MonotonicTime since) {
    options.on_step({.name = name, .task = std::nullopt, .took = clock.Now() - since});
  }

  const Options options;
  const Clock& clock;
  std::vector<RunLoop*> loops;  // set before the thread starts
  MemberState state;
  HeartbeatSender sender;
  const std::string incarnation;
  const MonotonicTime started_at;
  Mailbox<Message> mailbox;
  std::atomic<int64_t> progress;
  mutable std::mutex mutex;
  MemberStatus published;  // guarded by mutex

  // The thread's own.
  std::unique_ptr<CoordinatorTopic> topic;
  std::unique_ptr<const JobModel> model;
  std::unique_ptr<Restorer> restorer;
  std::optional<ReadToEnd> to_read;    // asked for, end not known yet
  std::optional<int64_t> read_number;  // under way
  MonotonicTime read_asked_at;
  MonotonicTime not_before;
  int64_t lease_epoch = 0;
  int loops_gone = 0;
  std::string problem;  // why the worker ends, for the coordinator
  bool loops_announced = false;
  bool named_announced = false;
  bool ready_announced = false;
  bool quit = false;
  bool done = false;
  bool drain_asked = false;
  WorkerReport report;
  std::vector<EngineFactory::OnDisk> on_disk;
  std::optional<MonotonicTime> disk_listed_at;
  std::optional<MonotonicTime> report_at;
  std::string waiting_for;
  std::thread thread;
};

Member::Member(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}

void Member::Start(std::vector<RunLoop*> loops) {
  impl_->loops = std::move(loops);
  impl_->thread = std::thread([this] { impl_->Run(); });
}

Member::~Member() {
  if (!impl_->thread.joinable()) return;
  impl_->mailbox.Post(QuitMessage{});
  impl_->thread.join();
}

void Member::OnLoopEvent(int32_t loop, LoopEvent event) {
  impl_->mailbox.Post(LoopMessage{.loop = loop, .event = std::move(event)});
}

void Member::Drain() { impl_->mailbox.Post(DrainMessage{}); }

MemberStatus Member::status() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->published;
}

MonotonicTime Member::progress() const { return MonotonicTime(Duration(impl_->progress.load())); }

void Member::Impl::Run() {
  if (WaitForTopics()) {
    while (!quit && !done) Turn();
  }
  while (!quit) {
    mailbox.Wait(std::chrono::seconds(1));
    HandleMessages();
    progress = clock.Now().time_since_epoch().count();
  }
  // After the loops have let go of their tasks; nobody asks it for anything any more.
  restorer.reset();
}

void Member::Impl::WaitFor(std::string what) {
  if (what == waiting_for) return;
  waiting_for = std::move(what);
  if (!waiting_for.empty()) LogInfo("waiting", {{"for", waiting_for}});
  const std::lock_guard lock(mutex);
  published.waiting_for = waiting_for;
}

void Member::Impl::Fail(const Status& status, const std::string& what) {
  done = true;
  options.on_failed(ExitCodeOfKafka(status), what + ": " + status.ToString());
}

// The coordinator makes the job's topics; a heartbeat sent before would make the broker create one
// with settings of its own.
bool Member::Impl::WaitForTopics() {
  std::unique_ptr<kafka::Admin> admin;
  const std::vector<std::string> topics = {options.job->CoordinatorTopic(),
                                           options.job->HeartbeatsTopic()};
  while (!quit && !done) {
    progress = clock.Now().time_since_epoch().count();
    Status status;
    if (!admin) {
      auto created = kafka::Admin::Create(options.kafka);
      if (!created.ok()) {
        Fail(created.status(), "connecting to Kafka");
        return false;
      }
      admin = std::move(created).value();
    }
    const auto found = admin->Describe(topics, kRequestTimeout);
    if (found.ok() && found->size() == topics.size()) break;
    if (!found.ok() && found.status().retry_class() != RetryClass::kRetry) {
      Fail(found.status(), "connecting to Kafka");
      return false;
    }
    WaitFor(found.ok() ? "the coordinator to create topic " + topics.front()
                       : found.status().ToString());
    mailbox.Wait(kRetryAfter);
    HandleMessages();
    if (drain_asked) Perform(state.OnStop(clock.Now()));
  }
  if (quit || done) return false;
  auto opened = CoordinatorTopic::Open(options.kafka, topics.front(), options.job->ConsumerGroup());
  if (!opened.ok()) {
    Fail(opened.status(), "reading the coordinator topic");
    return false;
  }
  topic = std::move(opened).value();
  WaitFor("producers to be initialised");
  return true;
}

void Member::Impl::Turn() {
  progress = clock.Now().time_since_epoch().count();
  if (!HandleMessages()) return;
  if (state.loops_ready() && !std::exchange(loops_announced, true))
    Step("kafka-clients", started_at);
  if (const auto sent_at = sender.TakeAcknowledged(); sent_at && options.lease != nullptr) {
    options.lease->Renew(*sent_at, clock);
  }
  BeginReading();
  PollTopic();
  if (done) return;
  NoteReadToEnd();
  RefreshReport();
  Perform(state.OnTick(clock.Now()));
  Publish();
}

bool Member::Impl::HandleMessages() {
  while (auto message = mailbox.Take()) {
    if (auto* loop = std::get_if<LoopMessage>(&*message)) {
      HandleLoopEvent(std::move(*loop));
    } else if (std::holds_alternative<DrainMessage>(*message)) {
      drain_asked = true;
      Perform(state.OnStop(clock.Now()));
    } else {
      quit = true;
    }
  }
  return !quit && !done;
}

void Member::Impl::HandleLoopEvent(LoopMessage message) {
  const MonotonicTime now = clock.Now();
  if (std::holds_alternative<LoopReady>(message.event)) {
    Perform(state.OnLoopReady(message.loop, now));
  } else if (const auto* closed = std::get_if<TaskClosed>(&message.event)) {
    Perform(state.OnTaskClosed(closed->task, closed->grant, now));
  } else if (std::holds_alternative<LoopFenced>(message.event)) {
    Perform(state.OnLoopFenced(message.loop, now));
  } else if (std::holds_alternative<LoopStopped>(message.event)) {
    OnLoopGone();
  } else if (const auto* failed = std::get_if<LoopFailed>(&message.event)) {
    if (problem.empty()) problem = failed->message;
    options.on_failed(failed->exit_code, failed->message);
    OnLoopGone();
  }
}

void Member::Impl::OnLoopGone() {
  if (++loops_gone < static_cast<int>(loops.size())) return;
  Perform(state.OnLoopsStopped(clock.Now()));
  sender.Flush(std::chrono::seconds(2))
      .IgnoreError("a goodbye that gets lost is replaced by the session timeout");
  Publish();
  done = true;
  options.on_drained();
}

void Member::Impl::Perform(const MemberActions& actions) {
  for (const MemberAction& action : actions) {
    if (const auto* grant = std::get_if<GrantTask>(&action)) {
      Grant(*grant);
    } else if (const auto* revoke = std::get_if<RevokeTask>(&action)) {
      LogInfo("task revoked", {{"task", revoke->task}, {"generation", state.generation()}});
      loops[static_cast<size_t>(revoke->loop)]->RevokeTask(revoke->task, revoke->grant);
    } else if (const auto* read = std::get_if<ReadToEnd>(&action)) {
      to_read = *read;
      read_number.reset();
      read_asked_at = clock.Now();
    } else if (const auto* beat = std::get_if<SendHeartbeat>(&action)) {
      Beat(*beat);
    } else if (const auto* fence = std::get_if<FenceIds>(&action)) {
      if (!Fence(*fence)) return;
    } else if (const auto* rejoin = std::get_if<RejoinLoop>(&action)) {
      loops[static_cast<size_t>(rejoin->loop)]->Rejoin();
    } else if (std::holds_alternative<Surrender>(action)) {
      done = true;
      options.on_failed(kExitInternal, "another process runs as worker " +
                                           ToString(options.identity.id) + " of job " +
                                           options.job->id.ToString() +
                                           ": Kafka fenced this one again and again; give each "
                                           "process a --worker-id of its own");
    } else {
      for (RunLoop* loop : loops) {
        if (!loop->status().initialised)
          loop->GiveUp();  // it has nothing to lose and may wait for Kafka
        loop->Drain();
      }
    }
  }
}

bool Member::Impl::Fence(const FenceIds& fence) {
  // AtLeastOnce has no transactions; there the lease keeps an older process from writing.
  if (options.job->processing.guarantee != Guarantee::kExactlyOnce) return true;
  for (const std::string& id : fence.ids) {
    if (const Status status = kafka::FenceTransactionalId(options.kafka, id, kRequestTimeout);
        !status.ok()) {
      Fail(status, "fencing " + id + " of an older process of this worker");
      return false;
    }
    LogInfo("fenced a transactional id of an older process of this worker", {{"id", id}});
  }
  return true;
}

void Member::Impl::Grant(const GrantTask& grant) {
  if (!restorer) {
    auto created = Restorer::Create({.kafka = options.kafka,
                                     .job = options.job,
                                     .model = model.get(),
                                     .engines = options.engines,
                                     .overlays = options.overlays,
                                     .clock = options.clock,
                                     .records_total = &options.restore_totals->records,
                                     .bytes_total = &options.restore_totals->bytes,
                                     .wipes_total = &options.restore_totals->wipes});
    if (!created.ok()) {
      Fail(created.status(), "starting the restorer");
      return;
    }
    restorer = std::move(created).value();
  }
  LogInfo("task granted",
          {{"task", grant.task}, {"loop", grant.loop}, {"generation", state.generation()}});
  loops[static_cast<size_t>(grant.loop)]->GrantTask({.task = grant.task,
                                                     .number = grant.grant,
                                                     .model = model.get(),
                                                     .restorer = restorer.get(),
                                                     .lease_epoch = lease_epoch});
}

void Member::Impl::Beat(const SendHeartbeat& beat) {
  if (!topic) return;  // the job's topics are not known to exist
  Heartbeat heartbeat{.worker = options.identity.id,
                      .incarnation = incarnation,
                      .sequence = beat.sequence,
                      .phase = beat.phase,
                      .acknowledged = beat.acknowledged};
  if (beat.with_report) {
    report_at.reset();
    RefreshReport();
    heartbeat.report = report;
  }
  sender.Send(heartbeat, clock.Now());
}

// The end is asked for only now: after the producers were initialised, and with a good lease.
void Member::Impl::BeginReading() {
  if (!to_read || clock.Now() < not_before) return;
  if (options.lease != nullptr) {
    if (!options.lease->Valid(clock.Now())) return;
    lease_epoch = options.lease->epoch();
  }
  if (const Status status = topic->MarkEnd(kRequestTimeout); !status.ok()) {
    if (status.retry_class() != RetryClass::kRetry && status.code() != Code::kNotFound) {
      Fail(status, "reading topic " + topic->name());
      return;
    }
    WaitFor(status.ToString());
    not_before = clock.Now() + kRetryAfter;
    return;
  }
  read_number = to_read->number;
  to_read.reset();
}

void Member::Impl::NoteReadToEnd() {
  if (!read_number || !topic->AtEnd()) return;
  Step("coordinator-topic", read_asked_at);
  Perform(state.OnCaughtUp(*std::exchange(read_number, std::nullopt), clock.Now()));
  WaitFor(state.named() ? "" : "an assignment that names worker " + ToString(options.identity.id));
}

void Member::Impl::PollTopic() {
  const bool busy = state.closing() || read_number || !state.loops_ready();
  const Duration tick = std::max(Duration::zero(), state.next_tick() - clock.Now());
  const Status status = topic->Poll(
      std::min(busy ? kBusyPoll : kIdlePoll, tick), [this](const CoordinatorState& folded) {
        if (!model) model = std::make_unique<const JobModel>(*folded.model);
        const auto& workers = folded.assignment.workers;
        const auto mine = workers.find(options.identity.id);
        Perform(state.OnAssignment(
            folded.assignment.generation,
            mine == workers.end() ? std::nullopt : std::optional(mine->second), clock.Now()));
      });
  if (!status.ok()) Fail(status, "reading topic " + topic->name());
}

void Member::Impl::RefreshReport() {
  const MonotonicTime now = clock.Now();
  if (report_at && now - *report_at < kReportEvery) return;
  report_at = now;
  if (!disk_listed_at || now - *disk_listed_at >= kListDiskEvery) {
    on_disk = options.engines->List();
    disk_listed_at = now;
  }
  Publish();
  WorkerStatus all{.member = published, .loops = {}};
  for (const RunLoop* loop : loops) all.loops.push_back(loop->status());
  WorkerReport fresh =
      MakeReport(options.identity, options.state.transactional_ids, all.loops, on_disk, problem);
  const auto change = CompareReports(report, fresh);
  report = std::move(fresh);
  if (change) Perform(state.OnReportChanged(*change, now));
  if (state.named() && !std::exchange(named_announced, true)) Step("assignment", started_at);
  if (state.named()) WaitFor({});
  if (!ready_announced && AllTasksRun(all)) {
    ready_announced = true;
    options.on_ready();
  }
}

void Member::Impl::Publish() {
  const std::lock_guard lock(mutex);
  published.phase = state.phase();
  published.generation = state.generation();
  published.acknowledged = state.acknowledged();
  published.caught_up = state.caught_up();
  published.given = state.given();
  published.heartbeats = sender.acknowledged();
}

}  // namespace coho
