#include "common/coordinating/kafka_cluster.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "common/base/log.h"
#include "common/base/mailbox.h"
#include "common/base/overloaded.h"
#include "common/coordinating/events_queue.h"
#include "common/coordinating/heartbeat_follower.h"
#include "common/kafka/admin.h"
#include "common/kafka/consumer.h"
#include "common/kafka/producer.h"

namespace coho {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kRequestTimeout = seconds(5);
// One producer writes for all jobs. What a job's own topic takes, the others wait for: little, and
// then it is that job's turn again later. A commit is the same for all.
constexpr Duration kSendTimeout = seconds(3);
constexpr Duration kAbortTimeout = seconds(2);
constexpr Duration kCommitTimeout = seconds(10);
constexpr Duration kTransactionTimeout = seconds(10);
constexpr Duration kReadTimeout = seconds(10);
// how late an idle thread sees that it is to end
constexpr Duration kIdle = milliseconds(500);
constexpr int64_t kReaderBytes = 8 << 20;
// An assignment's record holds a worker's tasks, a claim or a model everything else: none comes
// near.
constexpr int64_t kRecordBytesMax = 8 << 20;

kafka::ConsumerOptions ReaderOptions() {
  kafka::ConsumerOptions options;
  options.queued_bytes_max = kReaderBytes;
  return options;
}

using WriterJob = std::function<void()>;

}  // namespace

struct KafkaCluster::Impl {
  // What a thread of the pool opens for itself.
  struct Tools {
    std::unique_ptr<kafka::Admin> admin;
    std::unique_ptr<kafka::Consumer> reader;
  };
  using ToolJob = std::function<void(Tools&)>;

  Impl(kafka::ClientConfig c, int threads, std::function<bool()> may)
      : config(std::move(c)), may_write(std::move(may)) {
    config.give_up = stopping;
    for (int i = 0; i < threads; ++i) pool.emplace_back([this] { RunPool(); });
    writer_thread = std::thread([this] { RunWriter(); });
    follower_thread = std::thread([this] {
      while (!*stopping) follower.Turn();
    });
  }
  ~Impl() {
    *stopping = true;
    for (std::thread& thread : pool) thread.join();
    writer_thread.join();
    follower_thread.join();
  }

  void RunPool();
  void RunWriter();
  void AskEnds(const std::vector<TopicPartition>& partitions);
  void Answer(RequestId id, ClusterAnswer answer) { events.Put(Answered{id, std::move(answer)}); }
  [[nodiscard]] Result<kafka::Admin*> AdminOf(Tools& tools) const;
  [[nodiscard]] Result<kafka::Consumer*> ReaderOf(Tools& tools) const;
  [[nodiscard]] TopicsSeen Look(Tools& tools, const LookAtTopics& request) const;
  [[nodiscard]] Status Create(Tools& tools, const CreateTopics& request) const;
  [[nodiscard]] TopicRead Read(Tools& tools, const std::string& topic) const;
  [[nodiscard]] FollowBegun Follow(Tools& tools, const FollowHeartbeats& request);
  [[nodiscard]] WriterOpened Open(const std::string& transactional_id);
  [[nodiscard]] WriteEnded Write(const WriteTopic& request);
  [[nodiscard]] Status Send(const WriteTopic& request);
  void Fence(RequestId id, const std::vector<std::string>& ids);
  [[nodiscard]] Status MayWrite() const {
    if (!may_write || may_write()) return Status::Ok();
    return Unavailable("this process leads no more: nothing is written");
  }

  kafka::ClientConfig config;
  const std::function<bool()> may_write;
  const std::shared_ptr<std::atomic<bool>> stopping = std::make_shared<std::atomic<bool>>(false);
  EventsQueue events;
  Mailbox<ToolJob> pool_jobs;
  Mailbox<WriterJob> writer_jobs;

  // The writer's thread only.
  std::unique_ptr<kafka::Producer> producer;
  int64_t writer = 0;  // number of `producer`
  int64_t writers = 0;
  HeartbeatFollower follower{
      {.open =
           [this] {
             kafka::ConsumerOptions options = ReaderOptions();
             options.read_committed = false;
             options.lose_partitions = true;
             return kafka::Consumer::Create(config, options);
           },
       .ask_ends = [this](const std::vector<TopicPartition>& all) { AskEnds(all); },
       .events = &events}};
  std::atomic<bool> asking_ends{false};

  std::vector<std::thread> pool;
  std::thread writer_thread;
  std::thread follower_thread;
};

KafkaCluster::KafkaCluster(kafka::ClientConfig config, int threads, std::function<bool()> may_write)
    : impl_(std::make_unique<Impl>(std::move(config), std::max(threads, 1), std::move(may_write))) {
}
KafkaCluster::~KafkaCluster() = default;

std::vector<ClusterEvent> KafkaCluster::Take(Duration timeout, size_t most) {
  return impl_->events.Take(timeout, most);
}

void KafkaCluster::Wake() { impl_->events.Wake(); }

void KafkaCluster::Ask(RequestId id, ClusterRequest request) {
  Impl* impl = impl_.get();
  const auto on_pool = [impl](Impl::ToolJob job) { impl->pool_jobs.Post(std::move(job)); };
  std::visit(
      Overloaded{
          [&](OpenWriter& r) {
            impl->writer_jobs.Post(
                [impl, id, r] { impl->Answer(id, impl->Open(r.transactional_id)); });
          },
          [&](WriteTopic& r) {
            impl->writer_jobs.Post(
                [impl, id, r = std::move(r)] { impl->Answer(id, impl->Write(r)); });
          },
          [&](LookAtTopics& r) {
            on_pool([impl, id, r = std::move(r)](Impl::Tools& t) {
              impl->Answer(id, impl->Look(t, r));
            });
          },
          [&](CreateTopics& r) {
            on_pool([impl, id, r = std::move(r)](Impl::Tools& t) {
              impl->Answer(id, TopicsCreated{impl->Create(t, r)});
            });
          },
          [&](ReadTopic& r) {
            on_pool([impl, id, r](Impl::Tools& t) { impl->Answer(id, impl->Read(t, r.topic)); });
          },
          [&](FenceIds& r) { impl->Fence(id, r.transactional_ids); },
          [&](FollowHeartbeats& r) {
            on_pool([impl, id, r](Impl::Tools& t) { impl->Answer(id, impl->Follow(t, r)); });
          },
          [&](UnfollowHeartbeats& r) { impl->follower.Unfollow(std::move(r.topic)); },
      },
      request);
}

void KafkaCluster::Impl::RunPool() {
  Tools tools;
  while (!*stopping) {
    pool_jobs.Wait(kIdle);
    if (auto job = pool_jobs.Take(); job && !*stopping) (*job)(tools);
  }
}

void KafkaCluster::Impl::RunWriter() {
  while (!*stopping) {
    writer_jobs.Wait(kIdle);
    if (auto job = writer_jobs.Take(); job && !*stopping) (*job)();
  }
  producer.reset();
}

Result<kafka::Admin*> KafkaCluster::Impl::AdminOf(Tools& tools) const {
  if (tools.admin == nullptr) {
    COHO_ASSIGN_OR_RETURN(tools.admin, kafka::Admin::Create(config));
  }
  return tools.admin.get();
}

Result<kafka::Consumer*> KafkaCluster::Impl::ReaderOf(Tools& tools) const {
  if (tools.reader == nullptr) {
    COHO_ASSIGN_OR_RETURN(tools.reader, kafka::Consumer::Create(config, ReaderOptions()));
  }
  return tools.reader.get();
}

TopicsSeen KafkaCluster::Impl::Look(Tools& tools, const LookAtTopics& request) const {
  TopicsSeen seen;
  const auto look = [&]() -> Status {
    COHO_ASSIGN_OR_RETURN(kafka::Admin* const admin, AdminOf(tools));
    COHO_ASSIGN_OR_RETURN(seen.kafka_cluster_id, admin->ClusterId(kRequestTimeout));
    COHO_ASSIGN_OR_RETURN(seen.topics, admin->Describe(request.topics, kRequestTimeout));
    std::vector<std::string> asked;
    for (const std::string& topic : request.configs_of) {
      if (seen.topics.contains(topic)) asked.push_back(topic);
    }
    COHO_ASSIGN_OR_RETURN(auto configs, admin->TopicConfigs(asked, kRequestTimeout));
    for (auto& [topic, answer] : configs) {
      COHO_ASSIGN_OR_RETURN(seen.configs[topic], std::move(answer));
    }
    return Status::Ok();
  };
  seen.status = look();
  return seen;
}

Status KafkaCluster::Impl::Create(Tools& tools, const CreateTopics& request) const {
  COHO_RETURN_IF_ERROR(MayWrite());
  COHO_ASSIGN_OR_RETURN(kafka::Admin* const admin, AdminOf(tools));
  return admin->Create(request.topics, kRequestTimeout);
}

TopicRead KafkaCluster::Impl::Read(Tools& tools, const std::string& topic) const {
  TopicRead read;
  const auto take = [&read](const kafka::Record& record) {
    read.records.push_back(
        {{std::string(record.key()), std::string(record.value()), record.is_tombstone()},
         record.offset(),
         record.timestamp_ms()});
    return Status::Ok();
  };
  const auto reader = ReaderOf(tools);
  read.status =
      reader.ok() ? (*reader)->ReadToEnd({topic, 0}, kReadTimeout, take) : reader.status();
  if (!read.status.ok()) {
    read.records.clear();
    // What ended badly leaves nothing behind: a new reader is cheap beside a wrong one.
    tools.reader.reset();
  }
  return read;
}

WriterOpened KafkaCluster::Impl::Open(const std::string& transactional_id) {
  producer.reset();
  writer = 0;
  kafka::ProducerOptions options;
  options.transactional_id = transactional_id;
  options.transaction_timeout = kTransactionTimeout;
  options.linger = Duration::zero();
  options.queued_bytes_max = kRecordBytesMax * 2;
  options.message_bytes_max = kRecordBytesMax;
  auto made = kafka::Producer::Create(config, options);
  if (!made.ok()) return {made.status(), 0};
  if (Status status = (*made)->InitTransactions(kRequestTimeout); !status.ok()) return {status, 0};
  producer = std::move(made).value();
  writer = ++writers;
  return {Status::Ok(), writer};
}

Status KafkaCluster::Impl::Send(const WriteTopic& request) {
  COHO_RETURN_IF_ERROR(producer->BeginTransaction());
  COHO_ASSIGN_OR_RETURN(const kafka::Producer::Topic topic, producer->OpenTopic(request.topic));
  for (const TopicRecord& record : request.records) {
    kafka::Message message;
    message.key = record.key;
    message.value = record.value;
    message.has_value = !record.tombstone;
    COHO_RETURN_IF_ERROR(producer->Send(topic, 0, message));
  }
  // Nothing is asked of the transaction's coordinator before every record is there: until then the
  // outcome is certain.
  return producer->Flush(kSendTimeout);
}

WriteEnded KafkaCluster::Impl::Write(const WriteTopic& request) {
  if (producer == nullptr || request.writer != writer)
    return {WriteOutcome::kNotWritten, Unavailable("the writer was closed before")};
  if (Status leads = MayWrite(); !leads.ok()) return {WriteOutcome::kNotWritten, leads};
  Status status = Send(request);
  // The process may have been frozen meanwhile.
  if (status.ok()) status = MayWrite();
  const bool sent = status.ok();
  if (sent) status = producer->CommitTransaction(kCommitTimeout);
  if (status.ok()) return {WriteOutcome::kWritten, status};
  // librdkafka says of a commit that it must be aborted only if it was not asked for, or was
  // refused.
  if (status.code() != Code::kFenced && (!sent || status.code() == Code::kAborted)) {
    const Status aborted = producer->AbortTransaction(kAbortTimeout);
    if (aborted.ok()) return {WriteOutcome::kNotWritten, status};
    if (aborted.code() == Code::kFenced) status = aborted;
  }
  producer.reset();
  writer = 0;
  return {status.code() == Code::kFenced ? WriteOutcome::kFenced : WriteOutcome::kUnknown, status};
}

void KafkaCluster::Impl::Fence(RequestId id, const std::vector<std::string>& ids) {
  struct Open {
    std::mutex mutex;
    size_t left = 0;
    Status status;
  };
  if (ids.empty()) return Answer(id, IdsFenced{});
  auto open = std::make_shared<Open>();
  open->left = ids.size();
  for (const std::string& one : ids) {
    pool_jobs.Post([this, id, one, open](Tools&) {
      // Let go of after the answer: closing a client takes its time.
      std::unique_ptr<kafka::Producer> fence;
      auto made = kafka::Producer::Create(config, {.transactional_id = one,
                                                   .transaction_timeout = kTransactionTimeout,
                                                   .queued_bytes_max = 1 << 20});
      Status status = made.ok() ? MayWrite() : made.status();
      if (status.ok()) {
        fence = std::move(made).value();
        status = fence->InitTransactions(kRequestTimeout).WithContext("fencing " + one);
      }
      const std::lock_guard lock(open->mutex);
      if (open->status.ok()) open->status = status;
      if (--open->left == 0) Answer(id, IdsFenced{open->status});
    });
  }
}

FollowBegun KafkaCluster::Impl::Follow(Tools& tools, const FollowHeartbeats& request) {
  const TopicPartition partition{request.topic, 0};
  const auto follow = [&]() -> Result<int64_t> {
    COHO_ASSIGN_OR_RETURN(kafka::Consumer* const reader, ReaderOf(tools));
    COHO_ASSIGN_OR_RETURN(const auto ends,
                          reader->QueryHighWatermarks({partition}, kRequestTimeout));
    const auto end = ends.find(partition);
    if (end == ends.end())
      return Unavailable("topic " + request.topic + ": its leader did not say where it ends");
    COHO_ASSIGN_OR_RETURN(const std::optional<int64_t> from,
                          reader->QueryOffsetAt(partition, request.since, kRequestTimeout));
    follower.Follow(request.topic, from.value_or(end->second));
    return end->second;
  };
  const Result<int64_t> end = follow();
  return {end.status(), end.ok() ? *end : 0};
}

void KafkaCluster::Impl::AskEnds(const std::vector<TopicPartition>& partitions) {
  if (asking_ends.exchange(true)) return;
  pool_jobs.Post([this, partitions](Tools& tools) {
    const auto reader = ReaderOf(tools);
    const MonotonicTime as_of = Clock::Real().Now();
    if (reader.ok()) {
      auto ends = (*reader)->QueryHighWatermarks(partitions, kRequestTimeout);
      if (ends.ok()) follower.OnEnds({as_of, *std::move(ends)});
    }
    asking_ends = false;
  });
}

}  // namespace coho
