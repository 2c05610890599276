// The objects of one resource type as last seen. The watch writes, reconciles read; an object
// handed out never changes. Safe to use from any thread.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "operator/kube/json.h"
#include "operator/kube/resource.h"

namespace coho::kube {

// Shared by the store and by whoever reads it at the moment.
using ObjectPtr = std::shared_ptr<const Json>;

class ObjectStore {
 public:
  // Objects can be found by the value of this label (and their namespace); empty: by key only.
  explicit ObjectStore(std::string index_label = "") : index_label_(std::move(index_label)) {}

  [[nodiscard]] ObjectPtr Get(const ObjectKey& key) const;  // nullptr: none
  [[nodiscard]] std::vector<ObjectPtr> All() const;         // by key
  [[nodiscard]] std::vector<ObjectPtr> WithLabel(const std::string& ns,
                                                 const std::string& value) const;
  [[nodiscard]] size_t size() const;

  // What was there before; nullptr: nothing.
  ObjectPtr Put(const ObjectKey& key, Json object);
  ObjectPtr Remove(const ObjectKey& key);
  // An object of this name and uid was here and is not any more. Of each name the last one is
  // remembered, of 10,000 names; false: it is here, or was never seen, or long ago.
  [[nodiscard]] bool IsGone(const ObjectKey& key, const std::string& uid) const;

 private:
  using IndexKey = std::pair<std::string, std::string>;  // namespace, label value
  [[nodiscard]] std::string LabelOf(const Json& object) const;
  void Unindex(const ObjectKey& key, const Json& object);
  void NoteGone(const ObjectKey& key, const Json& object);

  const std::string index_label_;
  mutable std::mutex mutex_;
  std::map<ObjectKey, ObjectPtr> objects_;         // guarded by mutex_
  std::map<IndexKey, std::set<ObjectKey>> index_;  // guarded by mutex_
  std::map<ObjectKey, std::string> gone_;          // last uid of a name; guarded by mutex_
  std::deque<ObjectKey> gone_order_;               // oldest first; guarded by mutex_
};

}  // namespace coho::kube
