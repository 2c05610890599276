#include "worker/restore/positions_restore.h"

#include <algorithm>

#include "common/base/mutant.h"
#include "worker/store/changelog_key.h"

namespace coho {
namespace {

// A commit takes two offsets, an aborted one more.
constexpr int64_t kNearEnd = 64;

}  // namespace

void PositionsRestore::Plan(const ChangelogRange& range) {
  range_ = range;
  from_ = std::max(range.begin, range.end - kNearEnd);
  position_ = from_;
  step_back_ = false;
  positions_.reset();
}

Status PositionsRestore::Add(int64_t offset, std::string_view key,
                             std::optional<std::string_view> value) {
  if (step_back_) return Status::Ok();
  if (offset >= position_ && offset < range_.end) {
    Status status;
    const ChangelogKey::Kind kind = DecodeChangelogKey(key).kind;
    if (kind == ChangelogKey::Kind::kUnknown) {
      status = InvalidRecord("a record of the task that this version of Coho does not know");
    } else if (kind == ChangelogKey::Kind::kPositions) {
      auto positions = DecodePositionsRecord(value.value_or(std::string_view()));
      status = positions.status();
      if (positions.ok()) positions_ = std::move(positions).value();
    }
    if (!status.ok()) {
      return InvalidRecord("topic " + source_.topic + " partition " +
                           std::to_string(source_.partition) + " offset " + std::to_string(offset) +
                           ": " + status.message());
    }
  }
  Reached(offset + 1);
  return Status::Ok();
}

void PositionsRestore::Reached(int64_t offset) {
  if (step_back_) return;
  position_ = std::max(position_, std::min(offset, range_.end));
  if (position_ < range_.end || positions_ || from_ == range_.begin) return;
  COHO_SOMETIMES("no positions near the end of their topic");
  from_ = position_ = range_.begin;
  step_back_ = true;
}

Status PositionsRestore::StartOver(std::string_view /*reason*/) {
  positions_.reset();
  from_ = position_ = range_.begin;
  return Status::Ok();
}

}  // namespace coho
