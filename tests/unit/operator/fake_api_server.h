// As much of an API server as the operator talks to: objects of one namespace that are applied,
// read, listed, watched and deleted. Label selectors are not looked at.
//
// Thread rule: all methods from any thread.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "operator/kube/access.h"
#include "tests/unit/http/scripted_server.h"

namespace coho {

class FakeApiServer {
 public:
  FakeApiServer();
  ~FakeApiServer();

  [[nodiscard]] std::unique_ptr<kube::AccessSource> Access() const;

  // By path: "/api/v1/namespaces/web/services/visits".
  void Put(const std::string& path, nlohmann::json object);
  void Delete(const std::string& path);
  [[nodiscard]] std::map<std::string, nlohmann::json> objects();
  // Another object than `uid` lies there within ten seconds.
  [[nodiscard]] bool AwaitAnother(const std::string& path, const std::string& uid);

 private:
  struct Change {
    std::string path;
    std::string type;
    nlohmann::json object;
  };
  bool Answer(const ScriptedRequest& request, const ScriptedServer::Connection& to);
  bool Follow(const std::string& collection, size_t from, const ScriptedServer::Connection& to);
  [[nodiscard]] std::string ListLocked(const std::string& collection) const;
  nlohmann::json PutLocked(const std::string& path, nlohmann::json object);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, nlohmann::json> objects_;  // guarded by mutex_, like the rest
  std::vector<Change> changes_;                    // a resourceVersion is an index into it
  int uids_ = 0;
  bool ending_ = false;
  ScriptedServer server_;  // last: ends first
};

}  // namespace coho
