// What a Member is made of; for its sources only.
//
// Thread rule: whoever turns the member, but for the mailbox, `progress` and `published`.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/backoff.h"
#include "common/base/mailbox.h"
#include "worker/member/kafka_member_ports.h"
#include "worker/member/member.h"
#include "worker/restore/restorer.h"

namespace coho {

// Of one request to Kafka.
inline constexpr Duration kMemberRequestTimeout = std::chrono::seconds(5);
// The longest time that a member with nothing to do waits for something.
inline constexpr Duration kMemberIdlePoll = std::chrono::milliseconds(100);
// The first wait after a failure; it doubles.
inline constexpr Duration kMemberRetryFirst = std::chrono::milliseconds(200);

struct LoopMessage {
  int32_t loop = 0;
  LoopEvent event;
};
struct DrainMessage {};
struct QuitMessage {};
using MemberMessage = std::variant<LoopMessage, DrainMessage, QuitMessage>;

struct Member::Impl {
  explicit Impl(Options o)
      : options(std::move(o)),
        clock(*options.clock),
        state(options.state, clock.Now()),
        started_at(clock.Now()) {
    if (options.coordinator_log == nullptr) {
      own_log = std::make_unique<KafkaCoordinatorLog>(options.job, options.kafka);
      own_heartbeats = std::make_unique<KafkaHeartbeatLog>(*options.job, options.kafka);
    }
    log = own_log ? own_log.get() : options.coordinator_log;
    heartbeats = own_heartbeats ? own_heartbeats.get() : options.heartbeat_log;
    progress = started_at.time_since_epoch().count();
    published.started_at_ms = ToUnixMillis(clock.WallNow());
    published.waiting_for = "Kafka";
  }

  void Run();
  [[nodiscard]] bool Turn(Duration wait);
  void LookForTopics();
  bool HandleMessages();
  void HandleLoopEvent(LoopMessage message);
  void OnLoopGone();
  void Perform(const MemberActions& actions);
  void Perform(const MemberAction& action);
  void Fence(const FenceForeignIds& fence);
  void Grant(const GrantTask& grant);
  void Beat(const SendHeartbeat& beat);
  void NoteDelivered();
  void BeginReading();
  void PollTopic(Duration wait);
  [[nodiscard]] Status Fold(const LogRecord& record);
  void TellAssignment();
  void NoteReadToEnd();
  void RefreshReport();
  void Publish();
  void Fail(const Status& status, const std::string& what);
  // True: it was told, and is tried again later. False: the worker ends.
  bool TryAgainLater(const Status& status, const std::string& what);
  void WaitFor(std::string what);
  void Step(std::string_view name, MonotonicTime since) {
    options.on_step({.name = name, .task = std::nullopt, .took = clock.Now() - since});
  }

  const Options options;
  const Clock& clock;
  std::vector<RunLoop*> loops;  // set before the thread starts
  MemberState state;
  std::unique_ptr<CoordinatorLog> own_log;
  std::unique_ptr<HeartbeatLog> own_heartbeats;
  CoordinatorLog* log = nullptr;
  HeartbeatLog* heartbeats = nullptr;
  const MonotonicTime started_at;
  Mailbox<MemberMessage> mailbox;
  std::atomic<int64_t> progress;
  mutable std::mutex mutex;
  MemberStatus published;  // guarded by mutex

  // Of whoever turns it.
  bool topics_exist = false;
  std::unique_ptr<const JobModel> model;
  std::unique_ptr<Restorer> restorer;
  CoordinatorState folded;
  std::optional<ReadToEnd> to_read;    // asked for, end not known yet
  std::optional<int64_t> read_number;  // under way
  bool reading = false;                // the log was rewound once
  int64_t end = 0;                     // to be read to
  MonotonicTime read_asked_at;
  MonotonicTime not_before;
  Backoff backoff{kMemberRetryFirst, std::chrono::seconds(5)};
  int64_t lease_epoch = 0;
  std::map<int64_t, MonotonicTime> sent_at;  // heartbeats under way, by number
  uint64_t delivered = 0;
  bool unheard = false;  // told that heartbeats do not arrive
  int loops_gone = 0;
  std::string problem;  // why the worker ends, for the coordinator
  bool loops_announced = false;
  bool named_announced = false;
  bool ready_announced = false;
  bool quit = false;
  bool done = false;
  WorkerReport report;
  std::vector<EngineFactory::OnDisk> on_disk;
  std::optional<MonotonicTime> disk_listed_at;
  std::optional<MonotonicTime> report_at;
  std::string waiting_for;
  std::thread thread;
};

}  // namespace coho
