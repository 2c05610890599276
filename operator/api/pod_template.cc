#include "operator/api/pod_template.h"

#include <string>

#include "common/contract/worker_command.h"

namespace coho {
namespace {

using nlohmann::json;

Status WrongShape(const std::string& path, const json& found, const std::string& need) {
  return InvalidArgument(path + ": found " + found.type_name() + ", need " + need);
}

Status CheckTextMap(const json& value, const std::string& path) {
  if (!value.is_object()) return WrongShape(path, value, "a map from text to text");
  for (const auto& [key, entry] : value.items()) {
    if (!entry.is_string()) return WrongShape(path + "." + key, entry, "text");
  }
  return Status::Ok();
}

// A list of objects; each has text under `key` unless `key` is empty.
Status CheckList(const json& value, const std::string& path, const std::string& key) {
  if (!value.is_array()) return WrongShape(path, value, "a list");
  for (size_t i = 0; i < value.size(); ++i) {
    const std::string item = path + "[" + std::to_string(i) + "]";
    if (!value[i].is_object()) return WrongShape(item, value[i], "an object");
    if (key.empty()) continue;
    const auto it = value[i].find(key);
    if (it == value[i].end() || !it->is_string() || it->get_ref<const std::string&>().empty()) {
      return InvalidArgument(item + "." + key + ": found none, need a name");
    }
  }
  return Status::Ok();
}

Status CheckEnv(const json& value, const std::string& path) {
  COHO_RETURN_IF_ERROR(CheckList(value, path, "name"));
  for (size_t i = 0; i < value.size(); ++i) {
    const std::string item = path + "[" + std::to_string(i) + "]";
    const auto& name = value[i]["name"].get_ref<const std::string&>();
    if (name.starts_with(kEnvPrefix)) {
      return InvalidArgument(item + ".name: found \"" + name +
                             "\"; names that begin with COHO_ belong to Coho; choose another");
    }
    if (const auto it = value[i].find("value"); it != value[i].end() && !it->is_string()) {
      return WrongShape(item + ".value", *it, "text");
    }
  }
  return Status::Ok();
}

}  // namespace

Status CheckPodTemplate(const json& pod_template) {
  const std::string base = "spec.workers.template";
  if (pod_template.is_null()) return Status::Ok();
  if (!pod_template.is_object()) return WrongShape(base, pod_template, "an object");
  for (const auto& [key, value] : pod_template.items()) {
    const std::string path = base + "." + key;
    if (key == "labels" || key == "annotations" || key == "nodeSelector") {
      COHO_RETURN_IF_ERROR(CheckTextMap(value, path));
    } else if (key == "tolerations") {
      COHO_RETURN_IF_ERROR(CheckList(value, path, ""));
    } else if (key == "imagePullSecrets") {
      COHO_RETURN_IF_ERROR(CheckList(value, path, "name"));
    } else if (key == "env") {
      COHO_RETURN_IF_ERROR(CheckEnv(value, path));
    } else if (key == "priorityClassName") {
      if (!value.is_string()) return WrongShape(path, value, "text");
    } else {
      return InvalidArgument(
          path +
          ": unknown field; allowed are labels, annotations, nodeSelector, tolerations, "
          "imagePullSecrets, priorityClassName and env");
    }
  }
  return Status::Ok();
}

Status CheckResources(const json& resources) {
  const std::string base = "spec.workers.resources";
  if (resources.is_null()) return Status::Ok();
  if (!resources.is_object()) return WrongShape(base, resources, "an object");
  for (const auto& [key, value] : resources.items()) {
    const std::string path = base + "." + key;
    if (key != "requests" && key != "limits") {
      return InvalidArgument(path + ": unknown field; allowed are requests and limits");
    }
    if (!value.is_object()) return WrongShape(path, value, "a map from resource to quantity");
    for (const auto& [name, quantity] : value.items()) {
      if (!quantity.is_string() && !quantity.is_number()) {
        return WrongShape(path + "." + name, quantity, "a quantity such as 500m or 1Gi");
      }
    }
  }
  return Status::Ok();
}

}  // namespace coho
