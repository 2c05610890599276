#include "worker/loop/input_ids.h"

#include <utility>

#include "common/base/log.h"
#include "common/base/mutant.h"

namespace coho {
namespace {

constexpr Duration kTimeout = std::chrono::seconds(10);
constexpr Duration kInterval = std::chrono::seconds(1);
// The answer may have to wait behind a fetch, and a loop may be busy with a record.
constexpr Duration kYoung = std::chrono::milliseconds(2500);
constexpr Duration kLogInterval = std::chrono::seconds(10);

}  // namespace

void InputIds::UseInputs(InputPort* inputs) {
  inputs_ = inputs;
  asked_at_.reset();
}

void InputIds::Ask(MonotonicTime not_before, MonotonicTime now) {
  if (topics_.empty()) {
    as_of_ = now;
    return;
  }
  if (inputs_ == nullptr || (asked_at_ && *asked_at_ >= not_before) ||
      (as_of_ && *as_of_ >= not_before))
    return;
  again_at_ = now + kInterval;
  if (Status status = inputs_->AskTopicIds(topics_, kTimeout); status.ok()) {
    asked_at_ = now;
  } else {
    failed_at_ = now;
    failure_ = std::move(status);
  }
}

void InputIds::Take(MonotonicTime now) {
  if (!asked_at_) return;
  auto answer = inputs_->TakeTopicIds();
  if (!answer) return;
  const MonotonicTime asked_at = *std::exchange(asked_at_, std::nullopt);
  if (answer->ok()) {
    as_of_ = asked_at;
    ids_ = std::move(*answer).value();
    news_ = true;
    return;
  }
  failed_at_ = asked_at;
  failure_ = answer->status();
  if (now - logged_at_ >= kLogInterval) {
    logged_at_ = now;
    LogWarn("whether the inputs are still the same topics is not known yet",
            {{"reason", failure_}});
  }
}

std::optional<Status> InputIds::AnswerSince(MonotonicTime time) const {
  if (as_of_ && *as_of_ >= time) return Status::Ok();
  if (failed_at_ && *failed_at_ >= time) return failure_;
  return std::nullopt;
}

void InputIds::KeepYoung(MonotonicTime now) {
  if (!asked_at_ && now >= again_at_) Ask(now, now);
}

bool InputIds::young(MonotonicTime now) const {
  return (as_of_ && now - *as_of_ < kYoung) || COHO_MUTANT("input-ids-of-long-ago");
}

std::optional<std::string> InputIds::IdOf(const std::string& topic) const {
  if (COHO_MUTANT("input-ids-not-asked")) return std::string();
  const auto found = ids_.find(topic);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

}  // namespace coho
