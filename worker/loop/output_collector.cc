#include "worker/loop/output_collector.h"

#include <utility>

#include "worker/commit/lease.h"
#include "worker/sdk/serde.h"

namespace coho {
namespace {

Status CheckPart(const OutputSpec& output, SerdeType type, std::string_view part,
                 std::string_view bytes) {
  if (type == SerdeType::kBytes) return Status::Ok();
  const Status status = CheckBytes(type, bytes);
  if (status.ok()) [[likely]]
    return status;
  return InvalidArgument("output " + output.topic + ": " + std::string(part) + ": " +
                         status.message());
}

}  // namespace

Status OutputCollector::Attach(OutputPort* outputs) {
  port_ = outputs;
  failure_ = Status::Ok();
  outputs_.clear();
  last_ = 0;
  for (const OutputSpec& spec : job_.outputs) {
    COHO_ASSIGN_OR_RETURN(const OutputTopic topic, outputs->Open(spec.topic));
    outputs_.push_back({.spec = &spec, .topic = topic});
  }
  if (job_.processing.on_error == OnError::kDeadLetter) {
    COHO_ASSIGN_OR_RETURN(dead_letter_, outputs->Open(job_.processing.dead_letter_topic));
  }
  return Status::Ok();
}

const OutputCollector::Output* OutputCollector::Find(std::string_view topic) {
  // Comparing lengths first tells most topics apart; a job has few.
  if (last_ < outputs_.size() && outputs_[last_].spec->topic == topic) return &outputs_[last_];
  for (size_t i = 0; i < outputs_.size(); ++i) {
    if (outputs_[i].spec->topic != topic) continue;
    last_ = i;
    return &outputs_[i];
  }
  return nullptr;
}

Status OutputCollector::UnknownTopic(std::string_view topic) const {
  std::string names;
  for (const OutputSpec& spec : job_.outputs) names += (names.empty() ? "" : ", ") + spec.topic;
  return InvalidArgument(
      "topic \"" + std::string(topic) +
      "\" is not in spec.outputs, which has: " + (names.empty() ? "none" : names));
}

Status OutputCollector::Deliver(const OutputTopic& topic, const kafka::Message& message) {
  constexpr uint32_t kAskEvery = 16;
  if (may_send_ && ++sends_ % kAskEvery == 0 && !may_send_()) [[unlikely]]
    return NoteFailure(LeaseIsOverError());
  if (Status status = committer_.Open(); !status.ok()) [[unlikely]]
    return NoteFailure(std::move(status));
  Status status = port_->Send(topic, kafka::kPartitionByKey, message, nullptr);
  if (!status.ok()) [[unlikely]]
    return NoteFailure(std::move(status));
  ++*sent_;
  return status;
}

// A record that the client refuses (too large) is the task's failure; everything else is the
// producer's.
Status OutputCollector::NoteFailure(Status status) {
  if (status.code() != Code::kInvalidArgument && status.code() != Code::kInvalidRecord &&
      failure_.ok()) {
    failure_ = status;
  }
  return status;
}

Status OutputCollector::Send(std::string_view topic, std::string_view key, int64_t value) {
  const Output* output = Find(topic);
  if (output == nullptr) return UnknownTopic(topic);
  COHO_RETURN_IF_ERROR(CheckPart(*output->spec, output->spec->key, "key", key));
  Int64Buffer buffer;
  return Deliver(output->topic,
                 {.key = key, .value = EncodeInt64As(output->spec->value, value, &buffer)});
}

Status OutputCollector::SendTombstone(std::string_view topic, std::string_view key) {
  const Output* output = Find(topic);
  if (output == nullptr) return UnknownTopic(topic);
  COHO_RETURN_IF_ERROR(CheckPart(*output->spec, output->spec->key, "key", key));
  return Deliver(output->topic, {.key = key, .has_value = false});
}

Status OutputCollector::SendBytes(std::string_view topic, std::string_view key,
                                  std::string_view value, std::span<const kafka::Header> headers) {
  const Output* output = Find(topic);
  if (output == nullptr) return UnknownTopic(topic);
  COHO_RETURN_IF_ERROR(CheckPart(*output->spec, output->spec->key, "key", key));
  COHO_RETURN_IF_ERROR(CheckPart(*output->spec, output->spec->value, "value", value));
  return Deliver(output->topic, {.key = key, .value = value, .headers = headers});
}

Status OutputCollector::SendDeadLetter(const kafka::Record& record,
                                       std::span<const kafka::Header> headers) {
  uint64_t not_an_output = 0;
  uint64_t* const sent = sent_;
  sent_ = &not_an_output;
  const Status status = Deliver(dead_letter_, {.key = record.key(),
                                               .value = record.value(),
                                               .has_key = record.has_key(),
                                               .has_value = !record.is_tombstone(),
                                               .timestamp_ms = record.timestamp_ms(),
                                               .headers = headers});
  sent_ = sent;
  return status;
}

}  // namespace coho
