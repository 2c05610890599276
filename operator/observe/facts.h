// Reads from Kubernetes objects the few facts that a reconcile rests on. Pure. Objects come from
// the API server but may lack anything: what is missing reads as its default, never as an error.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "operator/api/observed.h"

namespace coho {

// The worker that an object's coho.dev/worker label names.
[[nodiscard]] std::optional<WorkerId> WorkerOf(const nlohmann::json& object);

// `job`: the name of the job that asks.
[[nodiscard]] ObjectFacts ReadObjectFacts(const nlohmann::json& object, std::string_view job);
[[nodiscard]] StatefulSetFacts ReadStatefulSetFacts(const nlohmann::json& set,
                                                    std::string_view job);
[[nodiscard]] PodFacts ReadPodFacts(const nlohmann::json& pod);
[[nodiscard]] NodeFacts ReadNodeFacts(const nlohmann::json& node);

// `volume`: the PersistentVolume that the claim is bound to; null while it cannot be read. Then the
// node that the scheduler chose for the claim stands in for what the volume admits. `for_each_node`
// visits all known nodes.
using VisitNode = std::function<void(const nlohmann::json& node)>;
[[nodiscard]] VolumeFacts ReadVolumeFacts(
    const nlohmann::json& claim, const nlohmann::json& volume,
    const std::function<void(const VisitNode&)>& for_each_node);

// What of an object is kept in memory: the facts above and what identifies the object.
void SlimStreamJob(nlohmann::json* job);
void SlimStatefulSet(nlohmann::json* set);
void SlimPod(nlohmann::json* pod);
void SlimClaim(nlohmann::json* claim);
void SlimVolume(nlohmann::json* volume);
void SlimNode(nlohmann::json* node);
void SlimToIdentity(nlohmann::json* object);

}  // namespace coho
