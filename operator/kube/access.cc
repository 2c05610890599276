#include "operator/kube/access.h"

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "common/base/log.h"

namespace coho::kube {
namespace {

constexpr Duration kReadAgainAfter =
    std::chrono::seconds(60);  // the kubelet replaces tokens well before they expire
constexpr char kServiceAccount[] = "/var/run/secrets/kubernetes.io/serviceaccount/";

void TrimRight(std::string* text) {
  while (!text->empty() && (text->back() == '\n' || text->back() == '\r' || text->back() == ' '))
    text->pop_back();
}

}  // namespace

Result<std::string> ReadWholeFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return NotFound("file " + path + ": cannot be opened; does it exist and may we read it?");
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (file.bad()) return Unavailable("file " + path + ": reading failed");
  return text;
}

Status ParseServerUrl(std::string_view url, ClusterAccess* access) {
  const auto bad = [&] {
    return InvalidArgument("server address: found \"" + std::string(url) +
                           "\", need https://host:port");
  };
  std::string_view rest = url;
  if (rest.starts_with("https://")) {
    access->use_tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    access->use_tls = false;
    rest.remove_prefix(7);
  } else {
    return bad();
  }
  const std::string_view authority = rest.substr(0, rest.find('/'));
  access->base_path = rest.substr(authority.size());
  while (access->base_path.ends_with('/')) access->base_path.pop_back();

  std::string_view port;
  if (authority.starts_with('[')) {
    const size_t close = authority.find(']');
    if (close == std::string_view::npos) return bad();
    access->host = authority.substr(1, close - 1);
    port = authority.substr(close + 1);
    if (!port.empty() && port[0] != ':') return bad();
  } else {
    const size_t colon = authority.find(':');
    access->host = authority.substr(0, colon);
    if (colon != std::string_view::npos) port = authority.substr(colon);
  }
  if (access->host.empty() || access->host.find('@') != std::string::npos) return bad();
  access->port = access->use_tls ? 443 : 80;
  if (port.size() > 1) {
    port.remove_prefix(1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), access->port);
    if (error != std::errc() || end != port.data() + port.size() || access->port < 1 ||
        access->port > 65535)
      return bad();
  } else if (port.size() == 1) {
    return bad();
  }
  return Status::Ok();
}

bool RunsInCluster() {
  return std::getenv("KUBERNETES_SERVICE_HOST") != nullptr &&
         std::getenv("KUBERNETES_SERVICE_PORT") != nullptr;
}

Result<ClusterAccess> LoadInCluster() {
  const char* host = std::getenv("KUBERNETES_SERVICE_HOST");
  const char* port = std::getenv("KUBERNETES_SERVICE_PORT");
  if (host == nullptr || port == nullptr) {
    return InvalidArgument(
        "not in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set; use "
        "--kubeconfig");
  }
  ClusterAccess access;
  const std::string name(host);
  const bool v6 = name.find(':') != std::string::npos;
  COHO_RETURN_IF_ERROR(
      ParseServerUrl("https://" + (v6 ? "[" + name + "]" : name) + ":" + port, &access));
  const std::string mount(kServiceAccount);
  COHO_ASSIGN_OR_RETURN(access.bearer_token, ReadWholeFile(mount + "token"));
  TrimRight(&access.bearer_token);
  COHO_ASSIGN_OR_RETURN(access.tls.ca_pem, ReadWholeFile(mount + "ca.crt"));
  Result<std::string> ns = ReadWholeFile(mount + "namespace");
  if (ns.ok()) {
    access.default_namespace = std::move(*ns);
    TrimRight(&access.default_namespace);
  }
  return access;
}

Result<std::unique_ptr<AccessSource>> AccessSource::Create(Load load, const Clock& clock) {
  std::unique_ptr<AccessSource> source(new AccessSource(std::move(load), clock));
  COHO_ASSIGN_OR_RETURN(ClusterAccess access, source->load_());
  source->current_ = std::make_shared<const ClusterAccess>(std::move(access));
  source->read_at_ = clock.Now();
  return source;
}

void AccessSource::ReadLocked() {
  read_at_ = clock_.Now();
  Result<ClusterAccess> fresh = load_();
  if (!fresh.ok()) {
    LogWarn("cluster credentials cannot be read again, the old ones stay in use",
            {{"error", fresh.status()}});
    return;
  }
  current_ = std::make_shared<const ClusterAccess>(std::move(*fresh));
}

std::shared_ptr<const ClusterAccess> AccessSource::Current() {
  const std::lock_guard lock(mutex_);
  if (clock_.Now() - read_at_ >= kReadAgainAfter) ReadLocked();
  return current_;
}

std::shared_ptr<const ClusterAccess> AccessSource::Reload() {
  const std::lock_guard lock(mutex_);
  ReadLocked();
  return current_;
}

}  // namespace coho::kube
