#include "worker/sdk/test_driver.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>

namespace coho {

namespace {

// An ordered map as store. An iterator holds its position as a key, so that writes while it is open
// do not break it.
class MapStore final : public StoreBackend {
 public:
  explicit MapStore(StoreSpec spec) : spec_(std::move(spec)) {}

  const StoreSpec& spec() const override { return spec_; }
  std::optional<std::string_view> Get(std::string_view key) override {
    const auto it = values_.find(key);
    if (it == values_.end()) return std::nullopt;
    return it->second;
  }
  void Put(std::string_view key, std::string_view value) override {
    values_.insert_or_assign(std::string(key), value);
  }
  void Remove(std::string_view key) override {
    if (const auto it = values_.find(key); it != values_.end()) values_.erase(it);
  }
  std::unique_ptr<StoreIterator> Range(std::string_view from, std::string_view to) override {
    return std::make_unique<Iterator>(&values_, from, to);
  }
  void Fail(Status error) override {
    if (status_.ok()) status_ = std::move(error);
  }
  [[nodiscard]] const Status& status() const { return status_; }

 private:
  using Values = std::map<std::string, std::string, std::less<>>;

  class Iterator final : public StoreIterator {
   public:
    Iterator(const Values* values, std::string_view from, std::string_view to)
        : values_(values), to_(to) {
      Load(values_->lower_bound(from));
    }
    bool Valid() const override { return valid_; }
    void Next() override { Load(values_->upper_bound(key_)); }
    std::string_view key() const override { return key_; }
    std::string_view value() const override { return value_; }
    Status status() const override { return Status::Ok(); }

   private:
    void Load(Values::const_iterator it) {
      valid_ = it != values_->end() && (to_.empty() || it->first < to_);
      if (valid_) std::tie(key_, value_) = *it;
    }
    const Values* values_;
    std::string to_;
    std::string key_;
    std::string value_;
    bool valid_ = false;
  };

  StoreSpec spec_;
  Values values_;
  Status status_;
};

class DriverContext final : public TaskContext {
 public:
  explicit DriverContext(const Job& job) : job_(job) {
    for (const OutputSpec& output : job.outputs) outputs_.push_back(output.topic);
    for (const StoreSpec& store : job.stores) stores_.push_back(std::make_unique<MapStore>(store));
  }
  TaskId task() const override { return TaskId(0); }
  int32_t task_count() const override { return 1; }
  const std::map<std::string, std::string>& config() const override { return job_.task.config; }
  const std::vector<std::string>& outputs() const override { return outputs_; }
  std::vector<std::string> store_names() const override {
    std::vector<std::string> names;
    for (const auto& store : stores_) names.push_back(store->spec().name);
    return names;
  }
  Result<StoreBackend*> FindStore(std::string_view name) override {
    std::string names;
    for (const auto& store : stores_) {
      if (store->spec().name == name) return static_cast<StoreBackend*>(store.get());
      names += (names.empty() ? "" : ", ") + store->spec().name;
    }
    return NotFound("store " + std::string(name) +
                    " is not among spec.stores, which are: " + (names.empty() ? "none" : names));
  }
  // First error of a store.
  [[nodiscard]] Status StoreStatus() const {
    for (const auto& store : stores_) {
      if (!store->status().ok()) return store->status().WithContext("store " + store->spec().name);
    }
    return Status::Ok();
  }

 private:
  const Job& job_;
  std::vector<std::string> outputs_;
  std::vector<std::unique_ptr<MapStore>> stores_;
};

class MemoryCollector final : public Collector {
 public:
  explicit MemoryCollector(const Job& job) : job_(job) {}

  using Collector::Send;
  Status Send(std::string_view topic, std::string_view key, int64_t value) override {
    COHO_ASSIGN_OR_RETURN(const OutputSpec* output, Find(topic));
    Int64Buffer buffer;
    return Add(*output, key, EncodeInt64As(output->value, value, &buffer), {});
  }
  Status SendTombstone(std::string_view topic, std::string_view key) override {
    COHO_ASSIGN_OR_RETURN(const OutputSpec* output, Find(topic));
    return Add(*output, key, std::nullopt, {});
  }
  Status SendBytes(std::string_view topic, std::string_view key, std::string_view value,
                   std::span<const kafka::Header> headers) override {
    COHO_ASSIGN_OR_RETURN(const OutputSpec* output, Find(topic));
    return Add(*output, key, value, headers);
  }

  std::vector<TestOutput> Take(std::string_view topic) {
    const auto rest =
        std::stable_partition(sent_.begin(), sent_.end(),
                              [&](const TestOutput& output) { return output.topic != topic; });
    std::vector<TestOutput> taken(std::make_move_iterator(rest),
                                  std::make_move_iterator(sent_.end()));
    sent_.erase(rest, sent_.end());
    return taken;
  }

 private:
  Result<const OutputSpec*> Find(std::string_view topic) const {
    for (const OutputSpec& output : job_.outputs) {
      if (output.topic == topic) return &output;
    }
    return InvalidArgument("topic " + std::string(topic) + " is not among spec.outputs");
  }
  Status Add(const OutputSpec& output, std::string_view key, std::optional<std::string_view> value,
             std::span<const kafka::Header> headers) {
    const auto fits = [&](SerdeType type, std::string_view bytes, std::string_view part) {
      const Status status = CheckBytes(type, bytes);
      if (status.ok()) return status;
      return InvalidArgument("output " + output.topic + ": " + std::string(part) + ": " +
                             status.message());
    };
    COHO_RETURN_IF_ERROR(fits(output.key, key, "key"));
    if (value) COHO_RETURN_IF_ERROR(fits(output.value, *value, "value"));
    TestOutput& sent =
        sent_.emplace_back(TestOutput{output.topic, std::string(key), std::nullopt, {}});
    if (value) sent.value = std::string(*value);
    for (const kafka::Header& header : headers)
      sent.headers.emplace_back(header.name, header.value);
    return Status::Ok();
  }

  const Job& job_;
  std::vector<TestOutput> sent_;
};

}  // namespace

struct TestDriver::Impl {
  Impl(Job spec, std::unique_ptr<StreamTask> user_task)
      : job(std::move(spec)), context(job), collector(job), task(std::move(user_task)) {}

  const Job job;
  DriverContext context;
  MemoryCollector collector;
  std::unique_ptr<StreamTask> task;
  ManualClock clock;
  Duration since_window{};
  std::map<std::string, int64_t, std::less<>> next_offset;
};

TestDriver::TestDriver() = default;
TestDriver::~TestDriver() = default;

Result<std::unique_ptr<TestDriver>> TestDriver::Start(Job job) {
  const TaskFactory* factory = FindTask(job.task.name);
  if (factory == nullptr) {
    std::string names;
    for (const std::string& name : RegisteredTasks()) names += (names.empty() ? "" : ", ") + name;
    return NotFound("spec.task.name: found \"" + job.task.name +
                    "\", registered are: " + (names.empty() ? "none" : names));
  }
  return Start(std::move(job), (*factory)());
}

Result<std::unique_ptr<TestDriver>> TestDriver::Start(Job job, std::unique_ptr<StreamTask> task) {
  std::unique_ptr<TestDriver> driver(new TestDriver);
  driver->impl_ = std::make_unique<Impl>(std::move(job), std::move(task));
  COHO_RETURN_IF_ERROR(driver->impl_->task->Init(driver->impl_->context));
  return driver;
}

Status TestDriver::Send(std::string_view topic, std::optional<std::string_view> key,
                        std::optional<std::string_view> value) {
  const auto& inputs = impl_->job.inputs;
  const auto input = std::find_if(inputs.begin(), inputs.end(),
                                  [&](const InputSpec& i) { return i.topic == topic; });
  if (input == inputs.end())
    return InvalidArgument("topic " + std::string(topic) + " is not among spec.inputs");
  const kafka::RecordParts parts{.topic = topic,
                                 .offset = impl_->next_offset[std::string(topic)]++,
                                 .timestamp_ms = ToUnixMillis(impl_->clock.WallNow()),
                                 .key = key,
                                 .value = value};
  const kafka::Record record(parts);
  if (key) COHO_RETURN_IF_ERROR(CheckBytes(input->key, *key).WithContext("key"));
  if (value) COHO_RETURN_IF_ERROR(CheckBytes(input->value, *value).WithContext("value"));
  const Envelope envelope(record, impl_->context.task());
  COHO_RETURN_IF_ERROR(impl_->task->Process(envelope, impl_->collector));
  if (!envelope.misuse().empty()) return InvalidRecord(std::string(envelope.misuse()));
  return impl_->context.StoreStatus();
}

Status TestDriver::Advance(Duration by) {
  const Duration interval = impl_->job.processing.window_interval;
  if (interval == Duration::zero()) {
    impl_->clock.Advance(by);
    return Status::Ok();
  }
  while (impl_->since_window + by >= interval) {
    const Duration step = interval - impl_->since_window;
    impl_->clock.Advance(step);
    by -= step;
    impl_->since_window = Duration::zero();
    COHO_RETURN_IF_ERROR(impl_->task->Window(impl_->collector));
  }
  impl_->clock.Advance(by);
  impl_->since_window += by;
  return Status::Ok();
}

Status TestDriver::Close() { return impl_->task->Close(); }
std::vector<TestOutput> TestDriver::Take(std::string_view topic) {
  return impl_->collector.Take(topic);
}
TaskContext& TestDriver::context() { return impl_->context; }
StreamTask& TestDriver::task() { return *impl_->task; }

}  // namespace coho
