#include "worker/restore/replays.h"

#include <optional>

#include "common/base/mutant.h"

namespace coho {

Status Replays::Follow(TaskId task, std::string name, Replayed* replayed) {
  const TopicPartition source = replayed->source();
  COHO_RETURN_IF_ERROR(port_->Assign({{source, replayed->position()}}));
  followed_[source] = {.task = task, .name = std::move(name), .replayed = replayed};
  by_handle_.clear();
  return Status::Ok();
}

void Replays::Remove(const std::vector<Replayed*>& gone) {
  std::vector<TopicPartition> sources;
  for (const Replayed* replayed : gone) {
    const auto found = followed_.find(replayed->source());
    if (found == followed_.end() || found->second.replayed != replayed) continue;
    sources.push_back(found->first);
    followed_.erase(found);
  }
  if (sources.empty()) return;
  by_handle_.clear();
  port_->Unassign(sources).IgnoreError("records that come nevertheless belong to nobody");
}

void Replays::Close() {
  followed_.clear();
  by_handle_.clear();
  port_->Close();
}

Replays::Followed* Replays::Find(const kafka::Record& record) {
  const auto [it, is_new] =
      by_handle_.try_emplace({record.topic_handle(), record.partition()}, nullptr);
  if (is_new) {
    const auto found = followed_.find({std::string(record.topic()), record.partition()});
    if (found != followed_.end()) it->second = &found->second;
  }
  return it->second;
}

void Replays::Take(const kafka::Record& record, Followed* followed) {
  if (!followed->failed.ok()) return;
  if (record.is_end_of_partition()) {
    followed->replayed->Reached(record.offset());
  } else {
    followed->failed = followed->replayed->Add(
        record.offset(), record.key(),
        record.is_tombstone() ? std::nullopt : std::optional(record.value()));
  }
}

Status Replays::ReadAgain(const Replayed& replayed) {
  COHO_RETURN_IF_ERROR(port_->Unassign({replayed.source()}));
  return port_->Assign({{replayed.source(), replayed.position()}});
}

Status Replays::Settle(Followed* followed) {
  Status status = std::exchange(followed->failed, Status::Ok());
  if (status.ok()) status = followed->replayed->Write();
  if (status.code() == Code::kCorruption) {
    COHO_SOMETIMES("a store turned out to be corrupt while it was replayed");
    COHO_RETURN_IF_ERROR(followed->replayed->StartOver("the store is corrupt"));
    return ReadAgain(*followed->replayed);
  }
  COHO_RETURN_IF_ERROR(status);
  return followed->replayed->TakeStepBack() ? ReadAgain(*followed->replayed) : Status::Ok();
}

Status Replays::Poll(Duration timeout, std::vector<Failure>* failures) {
  std::span<const kafka::Record> records;
  COHO_RETURN_IF_ERROR(port_->Poll(timeout, &records));
  for (const kafka::Record& record : records) {
    if (Followed* followed = Find(record)) Take(record, followed);
  }
  std::vector<Replayed*> finished;
  for (auto& [source, followed] : followed_) {
    const Status status = Settle(&followed);
    if (!status.ok()) failures->push_back({followed.task, status.WithContext(followed.name)});
    if (!status.ok() || followed.replayed->caught_up()) finished.push_back(followed.replayed);
  }
  port_->Release();
  Remove(finished);
  return Status::Ok();
}

}  // namespace coho
