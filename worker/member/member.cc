#include "worker/member/member.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <variant>

#include "common/base/log.h"
#include "common/base/mutant.h"
#include "common/base/overloaded.h"
#include "worker/loop/failure.h"
#include "worker/member/member_impl.h"

namespace coho {
namespace {

constexpr Duration kReportEvery = std::chrono::milliseconds(200);
constexpr Duration kListDiskEvery = std::chrono::seconds(30);
constexpr size_t kBeatsRemembered = 64;
// Brokers take messages up to 1 MB unless told otherwise.
constexpr size_t kReportBytesMax = 900'000;

std::string NewIncarnation() {
  std::random_device random;
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (int i = 0; i < 16; ++i) out += kHex[random() % 16];
  return out;
}

}  // namespace

Member::Member(Options options) {
  if (options.state.incarnation.empty()) options.state.incarnation = NewIncarnation();
  impl_ = std::make_unique<Impl>(std::move(options));
}

void Member::SetLoops(std::vector<RunLoop*> loops) { impl_->loops = std::move(loops); }

void Member::Start(std::vector<RunLoop*> loops) {
  SetLoops(std::move(loops));
  impl_->thread = std::thread([this] { impl_->Run(); });
}

bool Member::Turn(Duration wait) { return impl_->Turn(wait); }

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
  while (Turn(kMemberIdlePoll)) {
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

bool Member::Impl::TryAgainLater(const Status& status, const std::string& what) {
  if (status.retry_class() != RetryClass::kRetry && status.code() != Code::kNotFound) {
    Fail(status, what);
    return false;
  }
  WaitFor(status.ToString());
  not_before = clock.Now() + backoff.Next();
  return true;
}

// The coordinator makes the job's topics.
void Member::Impl::LookForTopics() {
  if (clock.Now() < not_before) return;
  const Result<bool> found = log->TopicsExist(kMemberRequestTimeout);
  if (!found.ok()) {
    TryAgainLater(found.status(), "connecting to Kafka");
    return;
  }
  topics_exist = *found;
  if (topics_exist) {
    backoff.Reset();
    return WaitFor(state.waiting_for());
  }
  not_before = clock.Now() + kMemberRetryFirst;
  WaitFor("the coordinator to create topic " + options.job->CoordinatorTopic());
}

bool Member::Impl::Turn(Duration wait) {
  progress = clock.Now().time_since_epoch().count();
  if (!HandleMessages()) {
    if (!quit) mailbox.Wait(wait);
    return !quit;
  }
  if (!topics_exist) {
    LookForTopics();
    if (!topics_exist && !done) mailbox.Wait(std::min(wait, kMemberRetryFirst));
    return !quit;
  }
  if (state.loops_ready() && !std::exchange(loops_announced, true))
    Step("kafka-clients", started_at);
  NoteDelivered();
  BeginReading();
  PollTopic(wait);
  if (done) return !quit;
  NoteReadToEnd();
  RefreshReport();
  Perform(state.OnTick(clock.Now()));
  Publish();
  return !quit;
}

void Member::Impl::NoteDelivered() {
  const auto last = sent_at.upper_bound(heartbeats->Delivered());
  if (last == sent_at.begin()) return;
  const MonotonicTime sent = std::prev(last)->second;
  delivered += static_cast<uint64_t>(std::distance(sent_at.begin(), last));
  sent_at.erase(sent_at.begin(), last);
  if (options.lease != nullptr) options.lease->Renew(sent, clock);
  if (std::exchange(unheard, false))
    LogInfo("heartbeats reach Kafka again", {{"topic", options.job->HeartbeatsTopic()}});
}

bool Member::Impl::HandleMessages() {
  while (auto message = mailbox.Take()) {
    if (auto* loop = std::get_if<LoopMessage>(&*message)) {
      HandleLoopEvent(std::move(*loop));
    } else if (std::holds_alternative<DrainMessage>(*message)) {
      Perform(state.OnStop(clock.Now()));
    } else {
      quit = true;
    }
  }
  return !quit && !done;
}

void Member::Impl::HandleLoopEvent(LoopMessage message) {
  const MonotonicTime now = clock.Now();
  const int32_t loop = message.loop;
  std::visit(
      Overloaded{[&](const LoopReady& ready) { Perform(state.OnLoopReady(loop, ready.join, now)); },
                 [&](const TaskClosed& closed) {
                   Perform(state.OnTaskClosed(closed.task, closed.grant, now));
                 },
                 [&](const LoopProved& proved) {
                   Perform(state.OnLoopProved(loop, Generation(proved.generation), now));
                 },
                 [&](const LoopFenced& fenced) {
                   Perform(state.OnLoopFenced(loop, !fenced.own_timeout, fenced.join, now));
                 },
                 [&](const LoopStopped&) { OnLoopGone(); },
                 [&](const LoopFailed& failed) {
                   if (problem.empty()) problem = failed.message;
                   options.on_failed(failed.exit_code, failed.message);
                   OnLoopGone();
                 }},
      message.event);
}

void Member::Impl::OnLoopGone() {
  if (++loops_gone < static_cast<int>(loops.size())) return;
  Perform(state.OnLoopsStopped(clock.Now()));
  heartbeats->Flush(std::chrono::seconds(2))
      .IgnoreError("a goodbye that gets lost is replaced by the session timeout");
  Publish();
  done = true;
  options.on_drained();
}

void Member::Impl::Perform(const MemberActions& actions) {
  for (const MemberAction& action : actions) Perform(action);
}

void Member::Impl::Perform(const MemberAction& action) {
  const auto loop_of = [this](int32_t loop) { return loops[static_cast<size_t>(loop)]; };
  std::visit(
      Overloaded{
          [&](const GrantTask& grant) { Grant(grant); },
          [&](const RevokeTask& revoke) {
            LogInfo("task revoked", {{"task", revoke.task}, {"generation", state.generation()}});
            loop_of(revoke.loop)->RevokeTask(revoke.task, revoke.grant);
          },
          [&](const ProveLoop& prove) { loop_of(prove.loop)->Prove(prove.generation.value()); },
          [&](const ReadToEnd& read) {
            to_read = read;
            read_number.reset();
            read_asked_at = clock.Now();
          },
          [&](const SendHeartbeat& beat) { Beat(beat); },
          [&](const FenceForeignIds& fence) { Fence(fence); },
          [&](const RejoinLoop& rejoin) { loop_of(rejoin.loop)->Rejoin(rejoin.join); },
          [&](const Surrender& surrender) {
            done = true;
            options.on_failed(kExitInternal, "another process runs as worker " +
                                                 ToString(options.identity.id) + " of job " +
                                                 options.job->id.ToString() + surrender.why);
          },
          [&](const DrainLoops&) {
            for (RunLoop* loop : loops) {
              // One that is not connected has nothing to lose and may wait for Kafka.
              if (!loop->status().initialised) loop->GiveUp();
              loop->Drain();
            }
          }},
      action);
}

void Member::Impl::Fence(const FenceForeignIds& fence) {
  bool ok = true;
  for (const std::string& id : fence.ids) {
    const Status status = log->Fence(id, kMemberRequestTimeout);
    if (status.ok()) {
      LogInfo("fenced a transactional id of an older process of this worker", {{"id", id}});
      continue;
    }
    if (status.retry_class() != RetryClass::kRetry)
      return Fail(status, "fencing " + id + " of an older process of this worker");
    LogWarn("a transactional id of an older process could not be fenced; trying again",
            {{"id", id}, {"reason", status}});
    ok = false;
    break;
  }
  Perform(state.OnForeignIdsFenced(ok, clock.Now()));
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
  if (!topics_exist) return;
  Heartbeat heartbeat{.worker = options.identity.id,
                      .incarnation = options.state.incarnation,
                      .sequence = beat.sequence,
                      .phase = beat.phase,
                      .life = beat.life,
                      .acknowledged = beat.acknowledged,
                      .proven = beat.proven};
  heartbeat.session = options.job->failover.session_timeout;
  if (beat.with_report) heartbeat.report = report;
  TopicRecord record = EncodeHeartbeat(heartbeat);
  // What lies on the disk goes first: it is only a help.
  while (record.value.size() > kReportBytesMax && heartbeat.report) {
    if (!TrimReport(&*heartbeat.report)) heartbeat.report.reset();
    record = EncodeHeartbeat(heartbeat);
  }
  const MonotonicTime now = clock.Now();
  const Status status = heartbeats->Send(beat.sequence, record);
  if (status.ok()) sent_at[beat.sequence] = now;
  const bool late =
      !sent_at.empty() && now - sent_at.begin()->second > options.job->failover.session_timeout / 2;
  if ((!status.ok() || late) && !std::exchange(unheard, true)) {
    LogWarn("heartbeats do not reach Kafka",
            {{"topic", options.job->HeartbeatsTopic()}, {"reason", status}});
  }
  while (sent_at.size() > kBeatsRemembered) sent_at.erase(sent_at.begin());
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
  if (state.caught_up()) WaitFor(state.waiting_for());
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
  published.heartbeats = delivered;
}

}  // namespace coho
