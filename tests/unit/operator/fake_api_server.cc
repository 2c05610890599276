#include "tests/unit/operator/fake_api_server.h"

#include <chrono>
#include <set>

#include "tests/unit/kube/local_access.h"

namespace coho {
namespace {

using nlohmann::json;

// "/api/v1/namespaces/web/services" or "/api/v1/nodes", but not an object in it.
bool IsCollection(const std::string& path) {
  static const std::set<std::string> kPlurals = {"streamjobs",
                                                 "statefulsets",
                                                 "pods",
                                                 "persistentvolumeclaims",
                                                 "persistentvolumes",
                                                 "nodes",
                                                 "serviceaccounts",
                                                 "configmaps",
                                                 "services",
                                                 "poddisruptionbudgets"};
  return kPlurals.contains(path.substr(path.rfind('/') + 1));
}

bool IsIn(const std::string& path, const std::string& collection) {
  return path.starts_with(collection + "/");
}

}  // namespace

FakeApiServer::FakeApiServer()
    : server_([this](const ScriptedRequest& request, const ScriptedServer::Connection& to) {
        return Answer(request, to);
      }) {}

FakeApiServer::~FakeApiServer() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
}

std::unique_ptr<kube::AccessSource> FakeApiServer::Access() const {
  return kube::LocalAccessSource(server_.port());
}

json FakeApiServer::PutLocked(const std::string& path, json object) {
  const auto before = objects_.find(path);
  json& metadata = object["metadata"];
  if (before != objects_.end()) {
    metadata["uid"] = before->second["metadata"]["uid"];
  } else if (!metadata.contains("uid")) {
    metadata["uid"] = "uid-" + std::to_string(++uids_);
  }
  metadata["resourceVersion"] = std::to_string(changes_.size() + 1);
  changes_.push_back({path, before == objects_.end() ? "ADDED" : "MODIFIED", object});
  objects_[path] = object;
  changed_.notify_all();
  return object;
}

void FakeApiServer::Put(const std::string& path, json object) {
  const std::lock_guard lock(mutex_);
  PutLocked(path, std::move(object));
}

void FakeApiServer::Delete(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(path);
  if (found == objects_.end()) return;
  json object = std::move(found->second);
  objects_.erase(found);
  object["metadata"]["resourceVersion"] = std::to_string(changes_.size() + 1);
  changes_.push_back({path, "DELETED", std::move(object)});
  changed_.notify_all();
}

std::map<std::string, json> FakeApiServer::objects() {
  const std::lock_guard lock(mutex_);
  return objects_;
}

bool FakeApiServer::AwaitAnother(const std::string& path, const std::string& uid) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(10), [&] {
    const auto found = objects_.find(path);
    return found != objects_.end() && found->second["metadata"]["uid"] != uid;
  });
}

std::string FakeApiServer::ListLocked(const std::string& collection) const {
  json items = json::array();
  for (const auto& [path, object] : objects_) {
    if (IsIn(path, collection)) items.push_back(object);
  }
  return json{{"metadata", {{"resourceVersion", std::to_string(changes_.size())}}},
              {"items", std::move(items)}}
      .dump();
}

bool FakeApiServer::Follow(const std::string& collection, size_t from,
                           const ScriptedServer::Connection& to) {
  if (!to.BeginChunks()) return false;
  while (true) {
    std::string lines;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return ending_ || from < changes_.size(); });
      if (ending_) return false;
      for (; from < changes_.size(); ++from) {
        const Change& change = changes_[from];
        if (IsIn(change.path, collection))
          lines += json{{"type", change.type}, {"object", change.object}}.dump() + "\n";
      }
    }
    if (!lines.empty() && !to.Chunk(lines)) return false;
  }
}

bool FakeApiServer::Answer(const ScriptedRequest& request, const ScriptedServer::Connection& to) {
  const size_t question = request.target.find('?');
  std::string path = request.target.substr(0, question);
  const std::string query =
      question == std::string::npos ? std::string() : request.target.substr(question);
  if (request.method == "GET" && query.find("watch=1") != std::string::npos) {
    const size_t at = query.find("resourceVersion=") + 16;
    return Follow(path, std::stoul(query.substr(at)), to);
  }
  std::unique_lock lock(mutex_);
  if (request.method == "GET" && IsCollection(path)) return to.Answer(200, ListLocked(path));
  if (request.method == "PATCH") {
    json object = json::parse(request.body);
    if (path.ends_with("/status")) {
      path.resize(path.size() - 7);
      json whole = objects_.at(path);
      whole["status"] = object["status"];
      object = std::move(whole);
    }
    return to.Answer(200, PutLocked(path, std::move(object)).dump());
  }
  const auto found = objects_.find(path);
  if (request.method != "GET" || found == objects_.end()) return to.Answer(404, "{}");
  return to.Answer(200, found->second.dump());
}

}  // namespace coho
