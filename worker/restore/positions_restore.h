// The last positions record of a task whose positions do not lie in the changelog of one of its
// stores: in a topic of their own, or in the changelog of a store that the job does not have any
// more. It is near the end as a rule, so the reading begins there; where none is found, it begins
// again at the topic's begin.
//
// Thread-compatible.
#pragma once

#include <utility>

#include "worker/restore/changelog_port.h"
#include "worker/restore/replayed.h"
#include "worker/store/positions.h"

namespace coho {

class PositionsRestore final : public Replayed {
 public:
  explicit PositionsRestore(TopicPartition source) : source_(std::move(source)) {}

  void Plan(const ChangelogRange& range);
  // REQUIRES: caught_up(). nullopt: there is none.
  [[nodiscard]] const std::optional<Positions>& positions() const { return positions_; }

  [[nodiscard]] TopicPartition source() const override { return source_; }
  [[nodiscard]] int64_t position() const override { return position_; }
  [[nodiscard]] bool caught_up() const override { return position_ >= range_.end && !step_back_; }
  [[nodiscard]] Status Add(int64_t offset, std::string_view key,
                           std::optional<std::string_view> value) override;
  void Reached(int64_t offset) override;
  [[nodiscard]] Status Write() override { return Status::Ok(); }
  [[nodiscard]] Status StartOver(std::string_view reason) override;
  [[nodiscard]] bool TakeStepBack() override { return std::exchange(step_back_, false); }

 private:
  const TopicPartition source_;
  ChangelogRange range_;
  int64_t from_ = 0;
  int64_t position_ = 0;
  bool step_back_ = false;
  std::optional<Positions> positions_;
};

}  // namespace coho
