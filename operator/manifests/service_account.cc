#include "operator/manifests/service_account.h"

#include "operator/api/names.h"
#include "operator/manifests/object.h"

namespace coho {

nlohmann::json MakeServiceAccount(const StreamJob& job) {
  nlohmann::json object = MakeObject(job, kServiceAccountType, WorkerAccountName(job.id.name));
  object["automountServiceAccountToken"] = false;
  return Sealed(std::move(object));
}

}  // namespace coho
