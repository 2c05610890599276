// How to reach an API server and who we are there: from a pod's service account or from a
// kubeconfig file. The parsing is pure (text and a file reader in, values out); AccessSource keeps
// the values fresh, because tokens and authorities are replaced on disk while we run.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/http/client.h"

namespace coho::kube {

struct ClusterAccess {
  std::string host;
  int port = 443;
  bool use_tls = true;
  std::string base_path;  // of an API server behind a path, "/k8s/clusters/c-1"; usually empty
  http::TlsOptions tls;
  std::string bearer_token;       // empty: the client certificate says who we are
  std::string default_namespace;  // of the pod or the context; may be empty
};

using ReadFile = std::function<Result<std::string>(const std::string& path)>;

// Reads one file of the machine; the error names it.
[[nodiscard]] Result<std::string> ReadWholeFile(const std::string& path);

// "https://[fd00::1]:6443/base" -> host fd00::1, port 6443, base_path "/base".
[[nodiscard]] Status ParseServerUrl(std::string_view url, ClusterAccess* access);

// `context` empty: current-context. Relative file names are relative to `directory`. Every error
// names the entry and what to do. Credential plugins (exec, auth-provider) are refused by name:
// they would need programs that our image does not hold.
[[nodiscard]] Result<ClusterAccess> ParseKubeconfig(std::string_view yaml,
                                                    const std::string& context,
                                                    const std::string& directory,
                                                    const ReadFile& read);

// `path` empty: $KUBECONFIG (its first existing file), else ~/.kube/config.
[[nodiscard]] Result<ClusterAccess> LoadKubeconfig(const std::string& path,
                                                   const std::string& context);

// The service account mounted into a pod: address from the environment, token, authority and
// namespace from files.
[[nodiscard]] bool RunsInCluster();
[[nodiscard]] Result<ClusterAccess> LoadInCluster();

// Safe to use from any thread.
class AccessSource {
 public:
  using Load = std::function<Result<ClusterAccess>()>;
  [[nodiscard]] static Result<std::unique_ptr<AccessSource>> Create(Load load, const Clock& clock);

  // Read again when older than a minute. While reading fails the last values stay in use (the
  // failure is logged).
  [[nodiscard]] std::shared_ptr<const ClusterAccess> Current();
  // For a request that was answered 401: read again now.
  [[nodiscard]] std::shared_ptr<const ClusterAccess> Reload();

 private:
  AccessSource(Load load, const Clock& clock) : load_(std::move(load)), clock_(clock) {}
  void ReadLocked();

  const Load load_;
  const Clock& clock_;
  std::mutex mutex_;
  std::shared_ptr<const ClusterAccess>
      current_;            // shared with the calls under way; guarded by mutex_
  MonotonicTime read_at_;  // guarded by mutex_
};

}  // namespace coho::kube
