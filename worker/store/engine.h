// Where a store's committed values lie: RocksDB behind an interface that admits other engines. One
// Engine per task and store. Thread rule: one thread at a time (restorer first, then the run loop);
// Sizes may be read from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "common/base/status.h"
#include "worker/sdk/store.h"
#include "worker/store/marker.h"

namespace coho {

// Values are in the value format (value_format.h); the engine does not look at them.
struct EngineWrite {
  std::string_view key;
  std::string_view value;
  bool remove = false;
  std::string_view head = {};  // what the value begins with: written before `value`
};

class Engine {
 public:
  virtual ~Engine() = default;
  // Into `value`; false: no such key.
  [[nodiscard]] virtual Result<bool> Get(std::string_view key, std::string* value) = 0;
  [[nodiscard]] virtual std::unique_ptr<StoreIterator> Range(std::string_view from,
                                                             std::string_view to) = 0;
  // All or nothing, marker included. Durable only after Flush: RocksDB's own log is off.
  [[nodiscard]] virtual Status Write(std::span<const EngineWrite> writes,
                                     const StoreMarker& marker) = 0;
  [[nodiscard]] virtual Status Flush() = 0;
  // The same without waiting for it; the error of one that fails comes with a later Write.
  [[nodiscard]] virtual Status StartFlush() { return Flush(); }
  // Everything that was written before the last StartFlush is durable; true before the first.
  [[nodiscard]] virtual bool FlushDone() const { return true; }
  [[nodiscard]] virtual Result<std::optional<StoreMarker>> ReadMarker() = 0;
  [[nodiscard]] virtual int64_t SizeBytes() const = 0;  // estimate of live data
};

// One per process: block cache, memtable budget and state directory that all engines share. Safe to
// use from any thread.
class EngineFactory {
 public:
  struct Options {
    std::string directory;  // <state-dir>; an engine lives in <directory>/stores/<store>/<task>
    int64_t block_cache_bytes = 64 << 20;
    int64_t memtable_bytes = 64 << 20;
  };
  [[nodiscard]] static Result<std::unique_ptr<EngineFactory>> Create(const Options& options);
  virtual ~EngineFactory() = default;
  // Opens or creates. kCorruption: what is on disk cannot be opened; Wipe and open again.
  // kUnavailable: it is open here, or being closed.
  [[nodiscard]] virtual Result<std::unique_ptr<Engine>> Open(std::string_view store,
                                                             TaskId task) = 0;
  // REQUIRES: not open.
  [[nodiscard]] virtual Status Wipe(std::string_view store, TaskId task) = 0;
  // Tasks that have a directory here, per store.
  struct OnDisk {
    std::string store;
    TaskId task;
    int64_t bytes = 0;
    // Of its marker, while it is closed; 0: unknown.
    int64_t position = 0;
    int64_t marker_time_ms = 0;
  };
  [[nodiscard]] virtual std::vector<OnDisk> List() const = 0;
};

}  // namespace coho
