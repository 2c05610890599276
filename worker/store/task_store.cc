#include "worker/store/task_store.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
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

// A write-back of more goes to the engine in several batches, so that it is not held in memory
// twice.
constexpr int64_t kBatchBytesMax = 8 << 20;
// An insertion over the budget looks at this many entries for one to evict: a bound on what it may
// take.
constexpr size_t kEvictionSteps = 32;
// A store that was not used for this long gives room to others.
constexpr Duration kIdle = std::chrono::seconds(1);

// What lies in the engine was checked when it was written.
Status NotReadable(const Status& decoded) {
  return Corruption("in the engine: " + decoded.message());
}

// The engine's view at creation under the overlay as it is at each step. Holds its position as a
// key, so that writes to the overlay do not break it.
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
        own_budget(options.overlay_bytes_max),
        budget(options.budget != nullptr ? options.budget : &own_budget),
        step(std::min<int64_t>(budget->limit() / 1024, OverlayBudget::kStep)),
        marker(options.marker),
        engine_marker(options.marker) {
    budget->AddStore();
  }
  ~Impl() {
    budget->Add(-told_bytes, -told_kept);
    budget->RemoveStore();
  }

  void Set(std::string_view key, std::optional<std::string_view> value) {
    if (!overlay->has_dirty()) {
      dirty_since = now;
      if (!unflushed_since) unflushed_since = now;
    }
    Used();
    overlay->Set(key, value);
    MakeRoom(kEvictionSteps);
  }
  // Whether the changelog takes it; else the refusal is noted.
  [[nodiscard]] bool Fits(std::string_view key, std::string_view value);
  void Used() { last_used = now; }
  [[nodiscard]] int64_t kept() const { return overlay->dirty_bytes() + overlay->undo_bytes(); }
  void Tell() {
    const int64_t bytes = overlay->bytes() - told_bytes;
    const int64_t more_kept = kept() - told_kept;
    if (std::abs(bytes) <= step && std::abs(more_kept) <= step) return;
    budget->Add(bytes, more_kept);
    told_bytes += bytes;
    told_kept += more_kept;
  }
  // Looks at no more than `steps_max` entries.
  void MakeRoom(size_t steps_max) {
    Tell();
    const int64_t excess = budget->excess();
    if (excess == 0) return;
    overlay->Evict(overlay->bytes() - excess, steps_max);
    Tell();
  }

  const Options options;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Overlay> overlay;
  OverlayBudget own_budget;
  OverlayBudget* const budget;
  const int64_t step;  // smaller changes are told later
  int64_t told_bytes = 0;
  int64_t told_kept = 0;
  StoreMarker marker;         // of the last commit
  StoreMarker engine_marker;  // of the last write-back
  MonotonicTime now;
  MonotonicTime last_used;
  MonotonicTime dirty_since;
  std::optional<MonotonicTime> unflushed_since;
  std::optional<MonotonicTime> marker_behind_since;  // the engine's, behind that of the last commit
  Status status;
  Status refused;
  int open_iterators = 0;
  std::string scratch;
  std::string key_scratch;

  void Fail(const Status& error) {
    if (status.ok()) status = error;
  }
  // For who breaks a rule of the store.
  [[nodiscard]] std::string Broken(const std::string& how) const {
    return "store " + options.spec.name + ", partition " + std::to_string(marker.partition) +
           ", at " + std::to_string(marker.position) + ", is " + how + ": " +
           std::to_string(overlay->changed().size()) + " changed keys, " +
           std::to_string(open_iterators) + " iterators";
  }
  [[nodiscard]] Status WriteDirty();
  [[nodiscard]] bool marker_moved() const {
    return marker.position != engine_marker.position || marker.positions != engine_marker.positions;
  }
  void NoteFlush() {
    unflushed_since = overlay->has_dirty() ? std::optional(dirty_since) : std::nullopt;
  }
};

bool TaskStore::Impl::Fits(std::string_view key, std::string_view value) {
  constexpr size_t kOurs = 1 + kPlainValueHeader.size();  // a key may get a lead byte
  const auto size = static_cast<int64_t>(key.size() + value.size() + kOurs);
  if (options.record_bytes_max <= 0 || size <= options.record_bytes_max) [[likely]]
    return true;
  if (!refused.ok()) return false;
  refused =
      InvalidRecord("store " + options.spec.name + ": a value of " + std::to_string(value.size()) +
                    " bytes under a key of " + std::to_string(key.size()) +
                    " bytes is larger than its changelog takes, which is " +
                    std::to_string(options.record_bytes_max - static_cast<int64_t>(kOurs)) +
                    " bytes together (max.message.bytes of topic " +
                    options.marker.changelog_topic + ", message.max.bytes of the producer)");
  return false;
}

TaskStore::TaskStore(Options options, std::unique_ptr<Engine> engine)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(engine))) {}
TaskStore::~TaskStore() = default;

const StoreSpec& TaskStore::spec() const { return impl_->options.spec; }

std::optional<std::string_view> TaskStore::Get(std::string_view key) {
  impl_->Used();
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
    impl_->MakeRoom(kEvictionSteps);
    entry = impl_->overlay->AddClean(key, *found ? std::optional(stored.value) : std::nullopt);
  }
  if (!entry->present()) return std::nullopt;
  return entry->value();
}

void TaskStore::Put(std::string_view key, std::string_view value) {
  if (!impl_->Fits(key, value)) [[unlikely]]
    return;
  impl_->Set(key, value);
}
bool TaskStore::refused() const { return !impl_->refused.ok(); }
Status TaskStore::TakeRefused() { return std::exchange(impl_->refused, Status::Ok()); }
void TaskStore::Fail(Status error) { impl_->Fail(error); }
void TaskStore::Remove(std::string_view key) {
  if (!impl_->Fits(key, {})) [[unlikely]]
    return;
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
  impl_->Tell();
  if (position) impl_->marker.position = *position;
  impl_->marker.commit_time_ms = ToUnixMillis(at);
  if (!COHO_MUTANT("positions-not-in-marker")) impl_->marker.positions = positions;
  if (!impl_->marker_behind_since && impl_->marker_moved()) impl_->marker_behind_since = impl_->now;
}

void TaskStore::Undo() {
  COHO_CHECK(impl_->open_iterators == 0, impl_->Broken("undone with open iterators"));
  if (impl_->overlay->has_frozen()) COHO_SOMETIMES("undo of changes that were sent");
  impl_->overlay->Undo();
  impl_->refused = Status::Ok();
  impl_->Tell();
}

int64_t TaskStore::dirty_bytes() const { return impl_->overlay->dirty_bytes(); }
int64_t TaskStore::overlay_bytes() const { return impl_->overlay->bytes(); }
bool TaskStore::over_budget() const { return impl_->budget->TooMuch(impl_->kept()); }

std::optional<MonotonicTime> TaskStore::dirty_since() const {
  if (!impl_->overlay->has_dirty()) return std::nullopt;
  return impl_->dirty_since;
}
std::optional<MonotonicTime> TaskStore::unflushed_since() const {
  if (impl_->unflushed_since) return impl_->unflushed_since;
  const bool old =
      impl_->marker_behind_since && impl_->now - *impl_->marker_behind_since >= kMarkerRefresh;
  return old ? impl_->marker_behind_since : std::nullopt;
}
// A store that is not used would keep its clean values for ever, and leave those that are used to
// evict their own.
void TaskStore::NoteTime(MonotonicTime now) {
  impl_->now = now;
  if (!impl_->budget->under_pressure()) return;
  if (now - impl_->last_used < kIdle) return impl_->MakeRoom(kEvictionSteps);
  impl_->overlay->Evict(0, kEvictionSteps);
  impl_->Tell();
}

// Every batch but the last carries the marker that the engine already has. If a crash leaves only
// some of them on disk, restore begins at that older marker and applies the very changes again that
// the batches were made of, so that the end is the same.
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
  if (!unflushed_since) unflushed_since = marker_behind_since;
  marker_behind_since.reset();
  return Status::Ok();
}

Status TaskStore::WriteBack() {
  COHO_CHECK(changed_keys() == 0 && !impl_->overlay->has_frozen(),
             impl_->Broken("written back before its values are committed"));
  COHO_CHECK(impl_->open_iterators == 0,
             impl_->Broken("written back with open iterators, which end with Process, Window and "
                           "Init"));
  const bool marker_due =
      impl_->marker_moved() ||
      impl_->marker.commit_time_ms - impl_->engine_marker.commit_time_ms >= kMarkerRefreshMillis;
  if (!impl_->overlay->has_dirty() && !marker_due) return Status::Ok();
  CrashPoint("write-back/before");
  COHO_RETURN_IF_ERROR(impl_->WriteDirty());
  CrashPoint("write-back/written");
  impl_->overlay->MarkAllClean();
  // Twice round the clock finds every clean entry.
  impl_->MakeRoom(2 * impl_->overlay->size());
  return Status::Ok();
}

Status TaskStore::Flush() {
  CrashPoint("flush/before");
  const Status status = impl_->engine->Flush();
  CrashPoint("flush/after");
  if (status.ok()) impl_->NoteFlush();
  return status;
}

Status TaskStore::StartFlush() {
  if (!impl_->engine->FlushDone()) return Status::Ok();
  CrashPoint("flush/before");
  COHO_RETURN_IF_ERROR(impl_->engine->StartFlush());
  CrashPoint("flush/after");
  impl_->NoteFlush();
  return Status::Ok();
}

const StoreMarker& TaskStore::marker() const { return impl_->marker; }
int64_t TaskStore::SizeBytes() const { return impl_->engine->SizeBytes(); }

}  // namespace coho
