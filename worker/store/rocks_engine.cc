// RocksDB as Engine. On disk: <directory>/stores/<store>/<task>/ is one database of one column
// family (7.8 can lose what is in other families when its log is off). Keys of users are kept
// behind 'd', the marker under "m", so neither sees the other. A database in which corruption was
// found while it was open gets a file CORRUPT, so that the next Open does not trust it again.
#include <fcntl.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/iterator.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "common/base/check.h"
#include "common/base/log.h"
#include "worker/store/engine.h"
#include "worker/store/marker_file.h"

namespace coho {

namespace {

namespace fs = std::filesystem;

constexpr char kDataPrefix = 'd';
constexpr char kDataEnd = 'e';
constexpr std::string_view kMarkerKey = "m";
constexpr std::string_view kCorruptFile = "CORRUPT";
constexpr std::string_view kWipedPrefix = ".wiped-";

rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

Status ToStatus(const rocksdb::Status& status, std::string_view what) {
  if (status.ok()) return Status::Ok();
  std::string message = std::string(what) + ": " + status.ToString();
  if (status.IsCorruption()) return Corruption(std::move(message));
  if (status.IsNoSpace() || status.subcode() == rocksdb::Status::kSpaceLimit) {
    return ResourceExhausted(message + "; make room on the volume of the state directory");
  }
  return Internal(std::move(message));
}

// Errors go to our log; a LOG file per store would be larger than many a store.
class RocksLogger final : public rocksdb::Logger {
 public:
  RocksLogger() : rocksdb::Logger(rocksdb::InfoLogLevel::ERROR_LEVEL) {}
  using rocksdb::Logger::Logv;
  void LogHeader(const char*, va_list) override {}
  void Logv(const char* format, va_list arguments) override {
    std::array<char, 512> text;
    std::vsnprintf(text.data(), text.size(), format, arguments);
    LogWarn("RocksDB reports an error", {{"message", text.data()}});
  }
};

// By store and task.
using EngineId = std::pair<std::string, TaskId>;
class RocksEngine;

// So that the next Open does not trust the database again.
void NoteCorruption(const fs::path& database) {
  if (std::FILE* note = std::fopen((database / kCorruptFile).c_str(), "we")) std::fclose(note);
}

// Up to where a database is on disk.
class FlushedThrough final : public rocksdb::EventListener {
 public:
  void OnFlushCompleted(rocksdb::DB* /*db*/, const rocksdb::FlushJobInfo& flush) override {
    Raise(flush.largest_seqno);
  }
  void Raise(uint64_t sequence) {
    uint64_t before = sequence_;
    while (before < sequence && !sequence_.compare_exchange_weak(before, sequence)) {
    }
  }
  [[nodiscard]] uint64_t sequence() const { return sequence_; }

 private:
  std::atomic<uint64_t> sequence_{0};
};

// What the factory and its engines share; owned by all of them.
struct Shared {
  fs::path root;  // <directory>/stores
  rocksdb::Options options;
  std::mutex mutex;
  struct Entry {
    const RocksEngine* open = nullptr;  // nullptr: closed, or about to be
    int64_t bytes = 0;                  // when closed, like the next
    std::optional<StoreMarker> marker = std::nullopt;
    bool closing = false;
  };
  std::map<EngineId, Entry> on_disk;  // guarded by mutex

  fs::path PathOf(const EngineId& id) const { return root / id.first / ToString(id.second); }
};

class RocksIterator final : public StoreIterator {
 public:
  RocksIterator(rocksdb::DB* db, std::string_view from, std::string_view to, std::string name,
                fs::path database)
      : name_(std::move(name)), database_(std::move(database)) {
    upper_ = to.empty() ? std::string(1, kDataEnd) : kDataPrefix + std::string(to);
    upper_slice_ = upper_;
    rocksdb::ReadOptions options;
    options.iterate_upper_bound = &upper_slice_;
    it_.reset(db->NewIterator(options));
    it_->Seek(kDataPrefix + std::string(from));
  }
  bool Valid() const override { return it_->Valid(); }
  void Next() override { it_->Next(); }
  std::string_view key() const override { return ToView(it_->key()).substr(1); }
  std::string_view value() const override { return ToView(it_->value()); }
  Status status() const override {
    if (it_->status().IsCorruption()) NoteCorruption(database_);
    return ToStatus(it_->status(), name_);
  }

 private:
  std::string name_;
  fs::path database_;
  std::string upper_;
  rocksdb::Slice upper_slice_;
  std::unique_ptr<rocksdb::Iterator> it_;
};

class RocksEngine final : public Engine {
 public:
  RocksEngine(std::shared_ptr<Shared> shared, EngineId id, std::unique_ptr<rocksdb::DB> db,
              std::shared_ptr<FlushedThrough> flushed)
      : shared_(std::move(shared)),
        id_(std::move(id)),
        db_(std::move(db)),
        flushed_(std::move(flushed)) {
    // Without a log, what is there at the opening is in files.
    flushed_->Raise(db_->GetLatestSequenceNumber());
    name_ = "store " + id_.first + ", task " + ToString(id_.second);
    write_options_.disableWAL = true;
    const std::lock_guard lock(shared_->mutex);
    shared_->on_disk[id_] = {.open = this};
  }
  // What is in the memtable is committed, so closing flushes it (RocksDB does so by itself when its
  // log is off).
  ~RocksEngine() override {
    const int64_t bytes = SizeBytes();
    const auto marker = ReadMarker();
    {
      const std::lock_guard lock(shared_->mutex);
      shared_->on_disk[id_] = {.open = nullptr, .bytes = bytes, .closing = true};
      if (marker.ok()) shared_->on_disk[id_].marker = *marker;
    }
    const rocksdb::Status closed = db_->Close();
    if (!closed.ok()) {
      LogWarn("closing a store failed; its last flush counts",
              {{"error", ToStatus(closed, name_)}});
    } else if (marker.ok() && *marker) {
      WriteMarkerFile(shared_->PathOf(id_), **marker);
    }
    const std::lock_guard lock(shared_->mutex);
    shared_->on_disk[id_].closing = false;
  }

  Result<bool> Get(std::string_view key, std::string* value) override {
    key_.assign(1, kDataPrefix).append(key);
    const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), key_, value);
    if (status.ok()) return true;
    if (status.IsNotFound()) return false;
    return Noted(status);
  }

  std::unique_ptr<StoreIterator> Range(std::string_view from, std::string_view to) override {
    return std::make_unique<RocksIterator>(db_.get(), from, to, name_, shared_->PathOf(id_));
  }

  Status Write(std::span<const EngineWrite> writes, const StoreMarker& marker) override {
    rocksdb::WriteBatch batch;
    const rocksdb::Slice prefix(&kDataPrefix, 1);
    for (const EngineWrite& write : writes) {
      const rocksdb::Slice key[] = {prefix, ToSlice(write.key)};
      const rocksdb::Slice value[] = {ToSlice(write.head), ToSlice(write.value)};
      const rocksdb::Status added =
          write.remove ? batch.Delete(rocksdb::SliceParts(key, 2))
                       : batch.Put(rocksdb::SliceParts(key, 2), rocksdb::SliceParts(value, 2));
      if (!added.ok()) return Noted(added);
    }
    const rocksdb::Status added = batch.Put(ToSlice(kMarkerKey), EncodeMarker(marker));
    if (!added.ok()) return Noted(added);
    return Noted(db_->Write(write_options_, &batch));
  }

  Status Flush() override { return Noted(db_->Flush(rocksdb::FlushOptions())); }
  Status StartFlush() override {
    flush_wanted_ = db_->GetLatestSequenceNumber();
    rocksdb::FlushOptions options;
    options.wait = false;
    return Noted(db_->Flush(options));
  }
  bool FlushDone() const override { return flushed_->sequence() >= flush_wanted_; }

  Result<std::optional<StoreMarker>> ReadMarker() override {
    std::string bytes;
    const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), ToSlice(kMarkerKey), &bytes);
    if (status.IsNotFound()) return std::optional<StoreMarker>();
    if (!status.ok()) return Noted(status);
    COHO_ASSIGN_OR_RETURN(StoreMarker marker, DecodeMarker(bytes));
    return std::optional<StoreMarker>(std::move(marker));
  }

  int64_t SizeBytes() const override {
    uint64_t files = 0;
    uint64_t memtables = 0;
    db_->GetIntProperty(rocksdb::DB::Properties::kEstimateLiveDataSize, &files);
    db_->GetIntProperty(rocksdb::DB::Properties::kCurSizeAllMemTables, &memtables);
    return static_cast<int64_t>(files + memtables);
  }

 private:
  Status Noted(const rocksdb::Status& status) {
    if (status.ok()) return Status::Ok();
    if (status.IsCorruption()) NoteCorruption(shared_->PathOf(id_));
    return ToStatus(status, name_);
  }

  const std::shared_ptr<Shared> shared_;
  const EngineId id_;
  const std::unique_ptr<rocksdb::DB> db_;
  const std::shared_ptr<FlushedThrough> flushed_;  // also the database's
  uint64_t flush_wanted_ = 0;
  std::string name_;
  rocksdb::WriteOptions write_options_;
  std::string key_;  // reused
};

rocksdb::Options MakeOptions(const EngineFactory::Options& budget) {
  // All stores of the process share them: a quarter of the processors for flushes, a half for
  // compactions.
  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const int flushes = std::clamp(cores / 4, 1, 4);
  const int compactions = std::clamp(cores / 2, 1, 8);
  rocksdb::Env::Default()->SetBackgroundThreads(flushes, rocksdb::Env::HIGH);
  rocksdb::Env::Default()->SetBackgroundThreads(compactions, rocksdb::Env::LOW);

  rocksdb::Options options;
  options.create_if_missing = true;
  options.max_background_jobs = flushes + compactions;
  options.max_open_files = 256;
  options.max_file_opening_threads = 1;
  options.skip_stats_update_on_db_open = true;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.info_log_level = rocksdb::InfoLogLevel::ERROR_LEVEL;
  options.info_log = std::make_shared<RocksLogger>();
  options.compression = rocksdb::kLZ4Compression;
  options.compaction_style = rocksdb::kCompactionStyleUniversal;
  // A merge of everything needs twice the room for a while; old versions beside it take no more
  // than half as much again.
  options.compaction_options_universal.max_size_amplification_percent = 50;

  // Memtables of all stores share the budget: the one that writes flushes when it is used up.
  options.write_buffer_manager =
      std::make_shared<rocksdb::WriteBufferManager>(budget.memtable_bytes);
  options.write_buffer_size =
      static_cast<size_t>(std::clamp<int64_t>(budget.memtable_bytes / 4, 1 << 20, 64 << 20));
  options.arena_block_size = 256 << 10;
  // One writer per store, in sorted batches: each insert starts where the last one ended.
  options.allow_concurrent_memtable_write = false;
  options.enable_write_thread_adaptive_yield = false;
  options.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewCappedPrefixTransform(1));

  rocksdb::BlockBasedTableOptions table;
  table.block_cache =
      rocksdb::NewLRUCache(static_cast<size_t>(budget.block_cache_bytes), /*num_shard_bits=*/4);
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.format_version = 5;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

std::optional<TaskId> ParseTaskDirectory(const std::string& name) {
  int32_t task = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), task);
  if (error != std::errc() || end != name.data() + name.size() || task < 0) return std::nullopt;
  return TaskId(task);
}

int64_t BytesBelow(const fs::path& directory) {
  int64_t bytes = 0;
  std::error_code error;
  for (const auto& file : fs::directory_iterator(directory, error)) {
    const auto size = file.file_size(error);
    if (!error) bytes += static_cast<int64_t>(size);
  }
  return bytes;
}

class RocksFactory final : public EngineFactory {
 public:
  explicit RocksFactory(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

  Result<std::unique_ptr<Engine>> Open(std::string_view store, TaskId task) override {
    const EngineId id(store, task);
    const fs::path path = shared_->PathOf(id);
    const std::string name = "opening " + path.string();
    {
      const std::lock_guard lock(shared_->mutex);
      const auto known = shared_->on_disk.find(id);
      if (known != shared_->on_disk.end() &&
          (known->second.open != nullptr || known->second.closing))
        return Unavailable(name + ": who had it before has not let go yet");
    }
    std::error_code error;
    if (fs::exists(path / kCorruptFile, error))
      return Corruption(name + ": corruption was found in it earlier");
    fs::create_directories(path, error);
    if (error) return Internal(name + ": " + error.message());
    COHO_RETURN_IF_ERROR(RemoveMarkerFile(path));
    rocksdb::DB* db = nullptr;
    rocksdb::Options options = shared_->options;
    const auto flushed = std::make_shared<FlushedThrough>();
    options.listeners.push_back(flushed);
    const rocksdb::Status status = rocksdb::DB::Open(options, path.string(), &db);
    // A file that its list of files names is missing.
    if (status.IsPathNotFound()) return Corruption(name + ": " + status.ToString());
    COHO_RETURN_IF_ERROR(ToStatus(status, name));
    return std::unique_ptr<Engine>(
        std::make_unique<RocksEngine>(shared_, id, std::unique_ptr<rocksdb::DB>(db), flushed));
  }

  // Renamed first: a crash must not leave half of a store under its name.
  Status Wipe(std::string_view store, TaskId task) override {
    const EngineId id(store, task);
    {
      const std::lock_guard lock(shared_->mutex);
      const auto entry = shared_->on_disk.find(id);
      COHO_CHECK(entry == shared_->on_disk.end() || entry->second.open == nullptr,
                 "store " + id.first + ", task " + ToString(task) + " is wiped while it is open");
    }
    const fs::path path = shared_->PathOf(id);
    const fs::path wiped = path.parent_path() / (std::string(kWipedPrefix) + ToString(task));
    std::error_code error;
    fs::remove_all(wiped, error);
    if (!error) fs::rename(path, wiped, error);
    if (error == std::errc::no_such_file_or_directory) error.clear();
    if (!error) fs::remove_all(wiped, error);
    if (error) return Internal("wiping " + path.string() + ": " + error.message());
    const std::lock_guard lock(shared_->mutex);
    shared_->on_disk.erase(id);
    return Status::Ok();
  }

  std::vector<OnDisk> List() const override {
    const std::lock_guard lock(shared_->mutex);
    std::vector<OnDisk> found;
    for (const auto& [id, entry] : shared_->on_disk) {
      found.push_back({.store = id.first,
                       .task = id.second,
                       .bytes = entry.open != nullptr ? entry.open->SizeBytes() : entry.bytes,
                       .position = entry.marker ? entry.marker->position : 0,
                       .marker_time_ms = entry.marker ? entry.marker->commit_time_ms : 0});
    }
    return found;
  }

 private:
  const std::shared_ptr<Shared> shared_;
};

// Finds what earlier processes left.
void Scan(Shared* shared) {
  std::error_code error;
  for (const auto& store : fs::directory_iterator(shared->root, error)) {
    for (const auto& entry : fs::directory_iterator(store.path(), error)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with(kWipedPrefix)) {
        fs::remove_all(entry.path(), error);
      } else if (const auto task = ParseTaskDirectory(name)) {
        shared->on_disk[{store.path().filename().string(), *task}] = {
            .bytes = BytesBelow(entry.path()), .marker = ReadMarkerFile(entry.path())};
      }
    }
  }
}

}  // namespace

Result<std::unique_ptr<EngineFactory>> EngineFactory::Create(const Options& options) {
  auto shared = std::make_shared<Shared>();
  shared->root = fs::path(options.directory) / "stores";
  const auto refused = [&](const std::string& why) {
    return InvalidArgument("state directory " + options.directory + " cannot be written: " + why +
                           "; name another directory, or let user " + std::to_string(geteuid()) +
                           " write to it");
  };
  std::error_code error;
  fs::create_directories(shared->root, error);
  if (error) return refused(error.message());
  const fs::path probe = shared->root / ".probe";
  const int file = open(probe.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  if (file < 0) return refused(std::strerror(errno));
  close(file);
  fs::remove(probe, error);
  shared->options = MakeOptions(options);
  Scan(shared.get());
  return std::unique_ptr<EngineFactory>(std::make_unique<RocksFactory>(std::move(shared)));
}

}  // namespace coho
