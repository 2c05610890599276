// What a user may add to worker pods (spec.workers.template, spec.workers.resources). The schema
// has checked these shapes before; they are checked again, because an older schema may have let
// something else in. Pure.
//
//   labels, annotations, nodeSelector   text -> text
//   tolerations, imagePullSecrets       as in a pod
//   priorityClassName                   text
//   env                                 [{name, value}]; names that begin with COHO_ are the
//   operator's
#pragma once

#include <nlohmann/json.hpp>

#include "common/base/status.h"

namespace coho {

// null is fine: nothing is added. Errors name the field, what was found and what is allowed.
[[nodiscard]] Status CheckPodTemplate(const nlohmann::json& pod_template);
[[nodiscard]] Status CheckResources(const nlohmann::json& resources);

}  // namespace coho
