#include "tests/support/sim/disk.h"

#include <utility>

#include "tests/support/sim/cloud.h"
#include "worker/state_directory.h"

namespace coho {
namespace {

using sim::Cloud;
using sim::Disk;
using sim::StoreFiles;

std::shared_ptr<Disk> DiskAt(const std::string& path) {
  std::shared_ptr<Disk>& disk = Cloud::current->disks[path];
  if (disk == nullptr) disk = std::make_shared<Disk>();
  return disk;
}

class MemoryIterator final : public StoreIterator {
 public:
  MemoryIterator(StoreFiles files, std::string_view from, std::string_view to)
      : files_(std::move(files)), it_(files_.values.lower_bound(from)), to_(to) {}
  [[nodiscard]] bool Valid() const override {
    return it_ != files_.values.end() && (to_.empty() || it_->first < to_);
  }
  void Next() override { ++it_; }
  [[nodiscard]] std::string_view key() const override { return it_->first; }
  [[nodiscard]] std::string_view value() const override { return it_->second; }
  [[nodiscard]] Status status() const override { return Status::Ok(); }

 private:
  const StoreFiles files_;  // a snapshot
  decltype(files_.values)::const_iterator it_;
  std::string to_;
};

class MemoryEngine final : public Engine {
 public:
  MemoryEngine(std::shared_ptr<Disk> disk, std::pair<std::string, TaskId> name)
      : disk_(std::move(disk)), name_(std::move(name)), now_(disk_->stores[name_]) {}

  Result<bool> Get(std::string_view key, std::string* value) override {
    const auto found = now_.values.find(key);
    if (found == now_.values.end()) return false;
    *value = found->second;
    return true;
  }
  std::unique_ptr<StoreIterator> Range(std::string_view from, std::string_view to) override {
    return std::make_unique<MemoryIterator>(now_, from, to);
  }
  Status Write(std::span<const EngineWrite> writes, const StoreMarker& marker) override {
    if (disk_->full) return {Code::kResourceExhausted, "no space left on device"};
    if (now_.corrupt == StoreFiles::Corrupt::kWhenWritten && !writes.empty())
      return {Code::kCorruption, "a block does not have its checksum"};
    for (const EngineWrite& write : writes) {
      if (write.remove) {
        now_.values.erase(std::string(write.key));
      } else {
        now_.values.insert_or_assign(std::string(write.key),
                                     std::string(write.head) + std::string(write.value));
      }
    }
    now_.marker = marker;
    if (Cloud::current->scheduler.dice().Percent(disk_->spontaneous_flush_percent)) return Flush();
    return Status::Ok();
  }
  Status Flush() override {
    if (disk_->full) return {Code::kResourceExhausted, "no space left on device"};
    disk_->stores[name_] = now_;
    return Status::Ok();
  }
  Status StartFlush() override {
    flushing_ = std::make_shared<bool>(false);
    Cloud::current->scheduler.After(
        Cloud::current->scheduler.dice().Millis(1, 800),
        [disk = disk_, name = name_, files = now_, done = flushing_,
         process = sim::Scheduler::CurrentProcess()] {
          if (disk->full || process->dead) return;
          StoreFiles& flushed = disk->stores[name];
          if (flushed.marker && files.marker && flushed.marker->position > files.marker->position)
            return;
          flushed = files;
          *done = true;
        });
    return Status::Ok();
  }
  [[nodiscard]] bool FlushDone() const override { return flushing_ == nullptr || *flushing_; }
  Result<std::optional<StoreMarker>> ReadMarker() override {
    if (now_.corrupt == StoreFiles::Corrupt::kMarker)
      return Status{Code::kCorruption, "a block does not have its checksum"};
    return now_.marker;
  }
  [[nodiscard]] int64_t SizeBytes() const override {
    return static_cast<int64_t>(now_.values.size()) * 20;
  }

 private:
  const std::shared_ptr<Disk> disk_;
  const std::pair<std::string, TaskId> name_;
  StoreFiles now_;
  std::shared_ptr<bool> flushing_;
};

class MemoryEngines final : public EngineFactory {
 public:
  explicit MemoryEngines(std::shared_ptr<Disk> disk) : disk_(std::move(disk)) {}
  Result<std::unique_ptr<Engine>> Open(std::string_view store, TaskId task) override {
    if (disk_->full) return Status{Code::kResourceExhausted, "no space left on device"};
    return std::unique_ptr<Engine>(
        std::make_unique<MemoryEngine>(disk_, std::pair(std::string(store), task)));
  }
  Status Wipe(std::string_view store, TaskId task) override {
    disk_->stores.erase({std::string(store), task});
    return Status::Ok();
  }
  [[nodiscard]] std::vector<OnDisk> List() const override {
    std::vector<OnDisk> list;
    for (const auto& [name, files] : disk_->stores)
      list.push_back({.store = name.first,
                      .task = name.second,
                      .bytes = static_cast<int64_t>(files.values.size()) * 20,
                      .position = files.marker ? files.marker->position : 0,
                      .marker_time_ms = files.marker ? files.marker->commit_time_ms : 0});
    return list;
  }

 private:
  const std::shared_ptr<Disk> disk_;
};

}  // namespace

Result<std::unique_ptr<EngineFactory>> EngineFactory::Create(const Options& options) {
  return std::unique_ptr<EngineFactory>(std::make_unique<MemoryEngines>(DiskAt(options.directory)));
}

Result<std::unique_ptr<StateDirectory>> StateDirectory::Open(const std::string& path) {
  const std::shared_ptr<Disk> disk = DiskAt(path);
  if (disk->locked_by != nullptr && !disk->locked_by->dead)
    return Status{Code::kConflict, path + " is locked by another process"};
  disk->locked_by = sim::Scheduler::CurrentProcess();
  return std::unique_ptr<StateDirectory>(
      new StateDirectory(path, path + "#" + std::to_string(disk->wiped), -1));
}

StateDirectory::~StateDirectory() { DiskAt(path_)->locked_by = nullptr; }

}  // namespace coho
