#include "operator/manifests/service.h"

#include "common/contract/worker_command.h"
#include "operator/api/names.h"
#include "operator/manifests/object.h"
#include "operator/manifests/pod_template.h"

namespace coho {

using nlohmann::json;

json MakeService(const StreamJob& job) {
  json object = MakeObject(job, kServiceType, ServiceName(job.id.name));
  const json port = {
      {"name", "http"}, {"port", kWorkerHttpPort}, {"protocol", "TCP"}, {"targetPort", "http"}};
  object["spec"] = {{"clusterIP", "None"},
                    {"publishNotReadyAddresses", true},  // a restoring worker's metrics matter most
                    {"selector", SelectorLabels(job.id)},
                    {"ports", json::array({port})}};
  return Sealed(std::move(object));
}

}  // namespace coho
