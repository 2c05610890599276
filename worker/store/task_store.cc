#include "worker/store/task_store.h"

#include <chrono>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/crash_point.h"
#include "common/base/mutant.h"
#include "worker/store/changelog_key.h"
#include "worker/store/overlay.h"
#include "worker/store/value_format.h"

namespace coho {

namespace {

// A write-back of more goes to the engine in several batches, so that it is not held in memory twice.
constexpr int64_t kBatchBytesMax = 8 << 20;
// An insertion over the budget looks at this many entries for one to evict: a bound on what it may take.
constexpr size_t kEvictionSteps = 32;
// A store that nobody writes to still writes its marker this often: how old the marker is decides whether it can be trusted.
constexpr int64_t kMarkerRefreshMillis = 60 * 60 * 1000;

// What lies in the engine was checked when it was written.
Status NotReadable(const Status& decoded) {
  return Corruption("in the engine: " + decoded.message());
}

// The engine's view at creation under the overlay as it is at each step. Holds its position as a key, so that writes to the
// overlay do not break it.
class MergedIterator final : public StoreIterator {
 public:
  MergedIterator(Overlay* overlay, std::unique_ptr<StoreIterator> base, std::string_view from,
                 std::string_view to, int* open, Status* store_status)
      : overlay_(overlay),
        base_(std::move(base)),
        key_(from),
        to_(to),
        open_(open),
        store_status_(store_status) {
    ++*open_;
    Settle(/*exclusive=*/false);
  }
  ~MergedIterator() override { --*open_; }
  bool Valid() const override { return valid_; }
  void Next() override { Settle(/*exclusive=*/true); }
  std::string_view key() const override { return key_; }
  std::string_view value() const override { return value_; }
  Status status() const override { return base_->status(); }

 private:
  void Settle(bool exclusive) {
    for (;; exclusive = true) {
      while (exclusive && base_->Valid() && base_->key() <= key_) base_->Next();
      if (!base_->Valid() && store_status_->ok()) *store_status_ = base_->status();
      const Overlay::Entry* entry = overlay_->SeekDirty(key_, exclusive);
      if (entry != nullptr && !to_.empty() && entry->key() >= to_) entry = nullptr;
      if (base_->Valid() && (entry == nullptr || base_->key() < entry->key())) {
        key_.assign(base_->key());
        StoredValue stored;
        const Status decoded = DecodeValue(base_->value(), &stored);
        if (!decoded.ok() && store_status_->ok()) *store_status_ = NotReadable(decoded);
        value_.assign(stored.value);
        valid_ = true;
        return;
      }
      valid_ = entry != nullptr;
      if (!valid_) return;
      key_.assign(entry->key());
      if (!entry->present()) continue;
      value_.assign(entry->value());
      return;
    }
  }

  Overlay* overlay_;
  std::unique_ptr<StoreIterator> base_;
  std::string key_;
  std::string value_;
  std::string to_;
  bool valid_ = false;
  int* open_;
  Status* store_status_;
};

}  // namespace

struct TaskStore::Impl {
  Impl(Options o, std::unique_ptr<Engine> e)
      : options(std::move(o)),
        engine(std::move(e)),
        overlay(std::make_unique<Overlay>()),
        marker(options.marker),
        engine_marker(options.marker) {}

  void Set(std::string_view key, std::optional<std::string_view> value) {
    if (!overlay->has_dirty()) dirty_since = now;
    overlay->Set(key, value);
    MakeRoom();
  }
  void MakeRoom() {
    if (overlay->bytes() > options.overlay_bytes_max)
      overlay->Evict(options.overlay_bytes_max, kEvictionSteps);
  }

  const Options options;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Overlay> overlay;
  StoreMarker marker;         // of the last commit
  StoreMarker engine_marker;  // of the last write-back
  MonotonicTime now;
  MonotonicTime dirty_since;
  Status status;
  int open_iterators = 0;
  std::string scratch;
  std::string key_scratch;

  void Fail(const Status& error) {
    if (status.ok()) status = error;
  }
  [[nodiscard]] Status WriteDirty();
};

TaskStore::TaskStore(Options options, std::unique_ptr<Engine> engine)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(engine))) {}
TaskStore::~TaskStore() = default;

const StoreSpec& TaskStore::spec() const { return impl_->options.spec; }

std::optional<std::string_view> TaskStore::Get(std::string_view key) {
  Overlay::Entry* entry = impl_->overlay->Find(key);
  if (entry == nullptr) {
    const Result<bool> found = impl_->engine->Get(key, &impl_->scratch);
    StoredValue stored;
    if (!found.ok()) {
      impl_->Fail(found.status());
      return std::nullopt;
    }
    if (*found) {
      if (const Status decoded = DecodeValue(impl_->scratch, &stored); !decoded.ok()) {
        impl_->Fail(NotReadable(decoded));
        return std::nullopt;
      }
    }
    impl_->MakeRoom();
    entry = impl_->overlay->AddClean(key, *found ? std::optional(stored.value) : std::nullopt);
  }
  if (!entry->present()) return std::nullopt;
  return entry->value();
}

void TaskStore::Put(std::string_view key, std::string_view value) { impl_->Set(key, value); }
void TaskStore::Remove(std::string_view key) {
  const Overlay::Entry* entry = impl_->overlay->Find(key);
  if (entry == nullptr || entry->present()) impl_->Set(key, std::nullopt);
}

std::unique_ptr<StoreIterator> TaskStore::Range(std::string_view from, std::string_view to) {
  return std::make_unique<MergedIterator>(impl_->overlay.get(), impl_->engine->Range(from, to),
                                          from, to, &impl_->open_iterators, &impl_->status);
}

Status TaskStore::status() const { return impl_->status; }

Status TaskStore::TakeChanges(const SendChange& send) {
  if (impl_->options.spec.changelog) {
    for (const Overlay::Changes::Change& change : impl_->overlay->changed()) {
      const Overlay::Entry& entry = *change.entry;
      const std::string_view key = EncodeChangelogKey(entry.key(), &impl_->key_scratch);
      if (!entry.present()) {
        COHO_RETURN_IF_ERROR(send(key, std::nullopt));
        continue;
      }
      EncodeValue({.value = entry.value()}, &impl_->scratch);
      COHO_RETURN_IF_ERROR(send(key, std::string_view(impl_->scratch)));
    }
  }
  impl_->overlay->FreezeChanges();
  if (COHO_MUTANT("marker-ahead-of-changelog")) return impl_->WriteDirty();
  return Status::Ok();
}

size_t TaskStore::changed_keys() const { return impl_->overlay->changed().size(); }

void TaskStore::Committed(std::optional<int64_t> position, WallTime at,
                          const Positions& positions) {
  impl_->overlay->ForgetFrozen();
  if (position) impl_->marker.position = *position;
  impl_->marker.commit_time_ms = ToUnixMillis(at);
  if (!COHO_MUTANT("positions-not-in-marker")) impl_->marker.positions = positions;
}

void TaskStore::Undo() {
  COHO_CHECK(impl_->open_iterators == 0, "undo while an iterator is open");
  if (impl_->overlay->has_frozen()) COHO_SOMETIMES("undo of changes that were sent");
  impl_->overlay->Undo();
}

int64_t TaskStore::dirty_bytes() const { return impl_->overlay->dirty_bytes(); }
int64_t TaskStore::overlay_bytes() const { return impl_->overlay->bytes(); }
// Not all of the budget: the rest keeps clean values that are in use.
bool TaskStore::over_budget() const {
  return impl_->overlay->dirty_bytes() + impl_->overlay->undo_bytes() >=
         impl_->options.overlay_bytes_max / 4 * 3;
}

std::optional<MonotonicTime> TaskStore::dirty_since() const {
  if (!impl_->overlay->has_dirty()) return std::nullopt;
  return impl_->dirty_since;
}
void TaskStore::NoteTime(MonotonicTime now) { impl_->now = now; }

// Every batch but the last carries the marker that the engine already has. If a crash leaves only some of them on disk, restore
// begins at that older marker and applies the very changes again that the batches were made of, so that the end is the same.
Status TaskStore::Impl::WriteDirty() {
  std::vector<EngineWrite> writes;
  int64_t bytes = 0;
  for (const Overlay::Entry* entry : overlay->SortedDirty()) {
    if (bytes >= kBatchBytesMax) {
      COHO_RETURN_IF_ERROR(engine->Write(writes, engine_marker));
      writes.clear();
      bytes = 0;
    }
    writes.push_back({.key = entry->key(),
                      .value = entry->value(),
                      .remove = !entry->present(),
                      .head = kPlainValueHeader});
    bytes += static_cast<int64_t>(entry->key().size() + entry->value().size());
  }
  COHO_RETURN_IF_ERROR(engine->Write(writes, marker));
  engine_marker = marker;
  return Status::Ok();
}

Status TaskStore::WriteBack() {
  COHO_CHECK(changed_keys() == 0 && !impl_->overlay->has_frozen(),
             "write-back of values that are not committed");
  COHO_CHECK(impl_->open_iterators == 0,
             "write-back while an iterator is open; iterators end with Process, Window and Init");
  const bool marker_due =
      impl_->marker.position != impl_->engine_marker.position ||
      impl_->marker.positions != impl_->engine_marker.positions ||
      impl_->marker.commit_time_ms - impl_->engine_marker.commit_time_ms >= kMarkerRefreshMillis;
  if (!impl_->overlay->has_dirty() && !marker_due) return Status::Ok();
  CrashPoint("write-back/before");
  COHO_RETURN_IF_ERROR(impl_->WriteDirty());
  CrashPoint("write-back/written");
  impl_->overlay->MarkAllClean();
  // Twice round the clock finds every clean entry.
  impl_->overlay->Evict(impl_->options.overlay_bytes_max, 2 * impl_->overlay->size());
  return Status::Ok();
}

Status TaskStore::Flush() {
  CrashPoint("flush/before");
  const Status status = impl_->engine->Flush();
  CrashPoint("flush/after");
  return status;
}

const StoreMarker& TaskStore::marker() const { return impl_->marker; }
int64_t TaskStore::SizeBytes() const { return impl_->engine->SizeBytes(); }

std::unique_ptr<Engine> TaskStore::ReleaseEngine() {
  impl_->overlay = std::make_unique<Overlay>();
  return std::move(impl_->engine);
}

}  // namespace coho
