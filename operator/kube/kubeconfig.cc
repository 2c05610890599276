#include <yaml-cpp/yaml.h>

#include <cstdlib>
#include <filesystem>
#include <optional>

#include "operator/kube/access.h"
#include "operator/kube/base64.h"

namespace coho::kube {
namespace {

// The text of node[field]; empty when missing. Anything but text is as good as missing: kubectl
// refuses it, too.
std::string Text(const YAML::Node& node, const char* field) {
  if (!node.IsMap()) return {};
  const YAML::Node child = node[field];
  return child && child.IsScalar() ? child.Scalar() : std::string();
}

struct Kubeconfig {
  const YAML::Node& root;
  const std::string& directory;
  const ReadFile& read;

  // The `field` of the entry named `name` in the list `list`: clusters/cluster, users/user,
  // contexts/context.
  [[nodiscard]] Result<YAML::Node> Entry(const char* list, const char* field,
                                         const std::string& name) const {
    const YAML::Node entries = root[list];
    if (entries && entries.IsSequence()) {
      for (const YAML::Node& entry : entries) {
        if (Text(entry, "name") == name && entry[field] && entry[field].IsMap())
          return YAML::Node(entry[field]);
      }
    }
    return InvalidArgument("kubeconfig: no entry named \"" + name + "\" in " + list +
                           " (or it has no " + field + ")");
  }

  // PEM text given inline as base64 (<field>-data, which wins) or as a file (<field>).
  [[nodiscard]] Result<std::string> Pem(const YAML::Node& node, const std::string& field,
                                        const std::string& owner) const {
    if (const std::string data = Text(node, (field + "-data").c_str()); !data.empty()) {
      std::optional<std::string> pem = DecodeBase64(data);
      if (!pem)
        return InvalidArgument("kubeconfig: " + owner + ": " + field + "-data is not base64");
      return *std::move(pem);
    }
    return File(node, field, owner);
  }

  [[nodiscard]] Result<std::string> File(const YAML::Node& node, const std::string& field,
                                         const std::string& owner) const {
    const std::string name = Text(node, field.c_str());
    if (name.empty()) return std::string();
    Result<std::string> text = read((std::filesystem::path(directory) / name).string());
    if (!text.ok()) return text.status().WithContext("kubeconfig: " + owner + ": " + field);
    return text;
  }

  [[nodiscard]] Status ReadCluster(const std::string& name, ClusterAccess* access) const {
    COHO_ASSIGN_OR_RETURN(const YAML::Node cluster, Entry("clusters", "cluster", name));
    const std::string owner = "cluster \"" + name + "\"";
    COHO_RETURN_IF_ERROR(
        ParseServerUrl(Text(cluster, "server"), access).WithContext("kubeconfig: " + owner));
    if (!Text(cluster, "proxy-url").empty()) {
      return InvalidArgument("kubeconfig: " + owner +
                             ": proxy-url is not supported; run the operator where the server can "
                             "be reached directly");
    }
    COHO_ASSIGN_OR_RETURN(access->tls.ca_pem, Pem(cluster, "certificate-authority", owner));
    access->tls.server_name = Text(cluster, "tls-server-name");
    access->tls.skip_verify = Text(cluster, "insecure-skip-tls-verify") == "true";
    return Status::Ok();
  }

  [[nodiscard]] Status ReadUser(const std::string& name, ClusterAccess* access) const {
    if (name.empty()) return Status::Ok();
    COHO_ASSIGN_OR_RETURN(const YAML::Node user, Entry("users", "user", name));
    const std::string owner = "user \"" + name + "\"";
    for (const char* unsupported : {"exec", "auth-provider", "username"}) {
      if (user[unsupported]) {
        return InvalidArgument(
            "kubeconfig: " + owner + ": credentials by " + unsupported +
            " are not supported; use a client certificate or a token, for instance of "
            "`kubectl create token`");
      }
    }
    COHO_ASSIGN_OR_RETURN(access->tls.client_cert_pem, Pem(user, "client-certificate", owner));
    COHO_ASSIGN_OR_RETURN(access->tls.client_key_pem, Pem(user, "client-key", owner));
    if (access->tls.client_cert_pem.empty() != access->tls.client_key_pem.empty()) {
      return InvalidArgument("kubeconfig: " + owner +
                             ": need both client-certificate and client-key, or neither");
    }
    access->bearer_token = Text(user, "token");
    if (const std::string file = Text(user, "tokenFile");
        !file.empty()) {  // wins, as in kubectl: it is kept fresh
      COHO_ASSIGN_OR_RETURN(access->bearer_token, File(user, "tokenFile", owner));
      while (!access->bearer_token.empty() && access->bearer_token.back() == '\n')
        access->bearer_token.pop_back();
    }
    return Status::Ok();
  }

  [[nodiscard]] Result<ClusterAccess> Read(std::string context) const {
    if (!root.IsMap())
      return InvalidArgument("kubeconfig: not a YAML map; is this the right file?");
    if (context.empty()) context = Text(root, "current-context");
    if (context.empty())
      return InvalidArgument("kubeconfig: no current-context; name one with --context");
    COHO_ASSIGN_OR_RETURN(const YAML::Node chosen, Entry("contexts", "context", context));
    ClusterAccess access;
    COHO_RETURN_IF_ERROR(ReadCluster(Text(chosen, "cluster"), &access));
    COHO_RETURN_IF_ERROR(ReadUser(Text(chosen, "user"), &access));
    access.default_namespace = Text(chosen, "namespace");
    return access;
  }
};

}  // namespace

Result<ClusterAccess> ParseKubeconfig(std::string_view yaml, const std::string& context,
                                      const std::string& directory, const ReadFile& read) {
  try {
    const YAML::Node root = YAML::Load(std::string(yaml));
    return Kubeconfig{root, directory, read}.Read(context);
  } catch (const YAML::Exception& e) {
    return InvalidArgument(std::string("kubeconfig: not readable as YAML: ") + e.what());
  }
}

Result<ClusterAccess> LoadKubeconfig(const std::string& path, const std::string& context) {
  std::string file = path;
  if (file.empty()) {
    const char* list = std::getenv("KUBECONFIG");
    const char* home = std::getenv("HOME");
    std::string_view rest = list != nullptr ? list : "";
    while (!rest.empty() && file.empty()) {
      const std::string candidate(rest.substr(0, rest.find(':')));
      rest.remove_prefix(std::min(rest.size(), candidate.size() + 1));
      std::error_code error;
      if (std::filesystem::exists(candidate, error)) file = candidate;
    }
    if (file.empty()) file = std::string(home != nullptr ? home : "") + "/.kube/config";
  }
  COHO_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(file));
  Result<ClusterAccess> access = ParseKubeconfig(
      text, context, std::filesystem::path(file).parent_path().string(), ReadWholeFile);
  if (!access.ok()) return access.status().WithContext(file);
  return access;
}

}  // namespace coho::kube
