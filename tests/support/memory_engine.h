// An Engine in memory that crashes as RocksDB does without its log: what was written after the last
// flush is lost, whole batches at a time, and a flush may come by itself at any write. It can be
// told to fail. A factory keeps the disks of a process that dies, per store and task.
//
// Thread rule: one thread.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/store/engine.h"
#include "worker/store/value_format.h"

namespace coho::test {

class MemoryEngine final : public Engine {
 public:
  struct Content {
    std::map<std::string, std::string, std::less<>> values;  // in the value format
    std::optional<StoreMarker> marker;
    // As users see them.
    [[nodiscard]] std::map<std::string, std::string, std::less<>> Plain() const {
      std::map<std::string, std::string, std::less<>> plain;
      for (const auto& [key, value] : values) {
        StoredValue stored;
        plain[key] = DecodeValue(value, &stored).ok() ? std::string(stored.value) : "not readable";
      }
      return plain;
    }
  };
  // What outlives the engine.
  struct Disk {
    Content flushed;
    bool open = false;
    bool corrupt = false;                   // Open fails until it is wiped
    Status failure;                         // of every read, write and flush
    std::function<bool()> flush_by_itself;  // asked after each write
    std::deque<Status> next_markers;        // how the next writes of nothing but a marker end
  };
  explicit MemoryEngine(Disk* disk) : disk_(disk), content_(disk->flushed) { disk_->open = true; }
  // As RocksDB does; a crash is Crash(), then this.
  ~MemoryEngine() override {
    if (!crashed_) disk_->flushed = content_;
    disk_->open = false;
  }
  void Crash() { crashed_ = true; }

  Result<bool> Get(std::string_view key, std::string* value) override {
    ++gets;
    COHO_RETURN_IF_ERROR(Failure());
    const auto it = content_.values.find(key);
    if (it == content_.values.end()) return false;
    *value = it->second;
    return true;
  }
  std::unique_ptr<StoreIterator> Range(std::string_view from, std::string_view to) override {
    return std::make_unique<Iterator>(content_, from, to, Failure());
  }
  Status Write(std::span<const EngineWrite> writes, const StoreMarker& marker) override {
    COHO_RETURN_IF_ERROR(Failure());
    if (writes.empty() && !disk_->next_markers.empty()) {
      const Status status = std::move(disk_->next_markers.front());
      disk_->next_markers.pop_front();
      COHO_RETURN_IF_ERROR(status);
    }
    ++batches;
    for (const EngineWrite& write : writes) {
      if (write.remove) {
        content_.values.erase(std::string(write.key));
      } else {
        content_.values.insert_or_assign(std::string(write.key),
                                         std::string(write.head).append(write.value));
      }
    }
    content_.marker = marker;
    if (disk_->flush_by_itself && disk_->flush_by_itself()) disk_->flushed = content_;
    return Status::Ok();
  }
  Status Flush() override {
    COHO_RETURN_IF_ERROR(Failure());
    disk_->flushed = content_;
    return Status::Ok();
  }
  Result<std::optional<StoreMarker>> ReadMarker() override {
    COHO_RETURN_IF_ERROR(Failure());
    return content_.marker;
  }
  int64_t SizeBytes() const override { return static_cast<int64_t>(content_.values.size()); }

  [[nodiscard]] const Content& content() const { return content_; }
  Status failure;
  int gets = 0;
  int batches = 0;

 private:
  [[nodiscard]] Status Failure() const { return failure.ok() ? disk_->failure : failure; }

  class Iterator final : public StoreIterator {
   public:
    Iterator(Content content, std::string_view from, std::string_view to, Status status)
        : content_(std::move(content)),
          it_(content_.values.lower_bound(from)),
          to_(to),
          status_(std::move(status)) {}
    bool Valid() const override {
      return status_.ok() && it_ != content_.values.end() && (to_.empty() || it_->first < to_);
    }
    void Next() override { ++it_; }
    std::string_view key() const override { return it_->first; }
    std::string_view value() const override { return it_->second; }
    Status status() const override { return status_; }

   private:
    const Content content_;  // a snapshot
    decltype(content_.values)::const_iterator it_;
    std::string to_;
    Status status_;
  };

  Disk* disk_;
  Content content_;
  bool crashed_ = false;
};

// The state directory of a process: survives it, while its engines do not.
class MemoryEngineFactory final : public EngineFactory {
 public:
  using Id = std::pair<std::string, TaskId>;

  Result<std::unique_ptr<Engine>> Open(std::string_view store, TaskId task) override {
    MemoryEngine::Disk& disk = disks_[Id(store, task)];
    if (disk.open) return Internal("store " + std::string(store) + " is open already");
    if (!disk.failure.ok()) return disk.failure;
    if (disk.corrupt) return Corruption("store " + std::string(store) + " is corrupt");
    auto engine = std::make_unique<MemoryEngine>(&disk);
    open_[Id(store, task)] = engine.get();
    return std::unique_ptr<Engine>(std::move(engine));
  }
  Status Wipe(std::string_view store, TaskId task) override {
    const auto found = disks_.find(Id(store, task));
    if (found == disks_.end()) return Status::Ok();
    if (found->second.open) return Internal("store " + std::string(store) + " is open");
    if (!found->second.failure.ok()) return found->second.failure;
    found->second.corrupt = false;
    found->second.flushed = {};
    ++wipes;
    return Status::Ok();
  }
  std::vector<OnDisk> List() const override {
    std::vector<OnDisk> found;
    for (const auto& [id, disk] : disks_) {
      found.push_back({id.first, id.second, static_cast<int64_t>(disk.flushed.values.size())});
    }
    return found;
  }
  // The process dies: engines that are open now leave what was flushed.
  void Crash() {
    for (const auto& [id, engine] : open_) {
      if (disks_[id].open) engine->Crash();
    }
  }

  [[nodiscard]] MemoryEngine::Disk& disk(std::string_view store, TaskId task) {
    return disks_[Id(store, task)];
  }
  int wipes = 0;

 private:
  std::map<Id, MemoryEngine::Disk> disks_;
  std::map<Id, MemoryEngine*> open_;
};

}  // namespace coho::test
