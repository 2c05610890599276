#include "operator/kube/object_store.h"

#include <utility>

namespace coho::kube {
namespace {

constexpr size_t kGoneRemembered = 10'000;

}  // namespace

std::string ObjectStore::LabelOf(const Json& object) const {
  return index_label_.empty() ? std::string()
                              : TextAt(object, {"metadata", "labels", index_label_.c_str()});
}

void ObjectStore::Unindex(const ObjectKey& key, const Json& object) {
  const auto it = index_.find({key.ns, LabelOf(object)});
  if (it == index_.end()) return;
  it->second.erase(key);
  if (it->second.empty()) index_.erase(it);
}

ObjectPtr ObjectStore::Get(const ObjectKey& key) const {
  const std::lock_guard lock(mutex_);
  const auto it = objects_.find(key);
  return it == objects_.end() ? nullptr : it->second;
}

std::vector<ObjectPtr> ObjectStore::All() const {
  const std::lock_guard lock(mutex_);
  std::vector<ObjectPtr> all;
  all.reserve(objects_.size());
  for (const auto& [key, object] : objects_) all.push_back(object);
  return all;
}

std::vector<ObjectPtr> ObjectStore::WithLabel(const std::string& ns,
                                              const std::string& value) const {
  const std::lock_guard lock(mutex_);
  std::vector<ObjectPtr> found;
  const auto it = index_.find({ns, value});
  if (it == index_.end()) return found;
  for (const ObjectKey& key : it->second) found.push_back(objects_.at(key));
  return found;
}

size_t ObjectStore::size() const {
  const std::lock_guard lock(mutex_);
  return objects_.size();
}

void ObjectStore::NoteGone(const ObjectKey& key, const Json& object) {
  const auto [it, is_new] = gone_.insert_or_assign(key, TextAt(object, {"metadata", "uid"}));
  if (!is_new) return;
  gone_order_.push_back(key);
  if (gone_order_.size() <= kGoneRemembered) return;
  gone_.erase(gone_order_.front());
  gone_order_.pop_front();
}

bool ObjectStore::IsGone(const ObjectKey& key, const std::string& uid) const {
  const std::lock_guard lock(mutex_);
  const auto it = gone_.find(key);
  return it != gone_.end() && it->second == uid;
}

ObjectPtr ObjectStore::Put(const ObjectKey& key, Json object) {
  auto fresh = std::make_shared<const Json>(std::move(object));
  const std::lock_guard lock(mutex_);
  if (const auto it = objects_.find(key); it != objects_.end()) {
    if (!index_label_.empty()) Unindex(key, *it->second);
    if (TextAt(*it->second, {"metadata", "uid"}) != TextAt(*fresh, {"metadata", "uid"}))
      NoteGone(key, *it->second);
  }
  if (!index_label_.empty()) {
    if (const std::string label = LabelOf(*fresh); !label.empty())
      index_[{key.ns, label}].insert(key);
  }
  return std::exchange(objects_[key], std::move(fresh));
}

ObjectPtr ObjectStore::Remove(const ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  const auto it = objects_.find(key);
  if (it == objects_.end()) return nullptr;
  if (!index_label_.empty()) Unindex(key, *it->second);
  NoteGone(key, *it->second);
  ObjectPtr gone = std::move(it->second);
  objects_.erase(it);
  return gone;
}

}  // namespace coho::kube
