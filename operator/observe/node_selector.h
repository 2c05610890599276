// Whether a node selector (of a PersistentVolume's node affinity) admits a node: the scheduler's
// own rules. Pure.
#pragma once

#include <nlohmann/json.hpp>

namespace coho {

// `selector` is {nodeSelectorTerms: [...]}. Terms are alternatives, the requirements of a term must
// all hold; an empty term admits nothing. null admits every node.
[[nodiscard]] bool NodeSelectorAdmits(const nlohmann::json& selector, const nlohmann::json& node);

}  // namespace coho
