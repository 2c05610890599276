#include "worker/loop/loop_clients.h"

#include <utility>

namespace coho {
namespace {

constexpr Duration kAttempt = std::chrono::seconds(1);

}  // namespace

Status LoopClients::Connect() {
  if (!inputs_) {
    COHO_ASSIGN_OR_RETURN(inputs_, options_.ports->MakeInputs());
    options_.tasks->UseInputs(inputs_.get());
  }
  if (!outputs_) {
    COHO_ASSIGN_OR_RETURN(outputs_, options_.ports->MakeOutputs(options_.keep_waiting));
  }
  COHO_RETURN_IF_ERROR(outputs_->Init(kAttempt));
  COHO_RETURN_IF_ERROR(options_.collector->Attach(outputs_.get()));
  COHO_RETURN_IF_ERROR(options_.tasks->UseOutputs(outputs_.get()));
  options_.committer->Attach(outputs_.get());
  return Status::Ok();
}

void LoopClients::ReleaseRecords() {
  if (inputs_) inputs_->Release();
}

void LoopClients::DropProducer() {
  options_.committer->Attach(nullptr);
  options_.tasks->UseOutputs(nullptr).IgnoreError("nothing is opened on no producer");
  outputs_.reset();
}

void LoopClients::Close() {
  if (outputs_ && options_.committer->opened_at())
    outputs_->Abort(kAttempt).IgnoreError("the next start of this worker aborts it");
  DropProducer();
  options_.tasks->DropAll();
  options_.tasks->MirrorLast(kAttempt);
  options_.tasks->UseInputs(nullptr);
  inputs_.reset();
}

}  // namespace coho
