// A task's local key-value state as user code sees it. Reads see the task's own writes at once; a
// crash or an aborted transaction takes back what was not committed. Used only on the run loop's
// thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/model/job.h"
#include "worker/sdk/serde.h"

namespace coho {

// Forward iterator in byte order of the keys over a consistent view; views live until Next. Writes
// to the store while an iterator is open are seen or not seen, but never break it.
class StoreIterator {
 public:
  virtual ~StoreIterator() = default;
  [[nodiscard]] virtual bool Valid() const = 0;
  virtual void Next() = 0;
  [[nodiscard]] virtual std::string_view key() const = 0;
  [[nodiscard]] virtual std::string_view value() const = 0;
  [[nodiscard]] virtual Status status() const = 0;
};

// The bytes below a typed handle. A store that cannot be read or written fails the process's task
// through the status kept inside; user code need not check each call (the run loop does, before the
// next commit).
class StoreBackend {
 public:
  virtual ~StoreBackend() = default;
  [[nodiscard]] virtual const StoreSpec& spec() const = 0;
  // A view that lives until the next call on this store; nullopt: no such key.
  [[nodiscard]] virtual std::optional<std::string_view> Get(std::string_view key) = 0;
  virtual void Put(std::string_view key, std::string_view value) = 0;
  virtual void Remove(std::string_view key) = 0;
  // What was read makes no sense: ends the task's process before anything is committed.
  virtual void Fail(Status error) = 0;
  // Keys in [from, to); an empty `to` means to the end.
  [[nodiscard]] virtual std::unique_ptr<StoreIterator> Range(std::string_view from,
                                                             std::string_view to) = 0;
};

// A key or value in a store that is not of the store's serde: what it was written with was another.
[[nodiscard]] Status NotOfSerde(std::string_view part, size_t size, SerdeType serde);

// Typed handle; opened by TaskContext::OpenStore in Init. K and V: std::string_view, std::string or
// int64_t.
template <class K, class V>
class KeyValueStore {
 public:
  using Value = typename Serde<V>::Decoded;

  [[nodiscard]] Status Bind(StoreBackend* backend) {
    const StoreSpec& spec = backend->spec();
    if (!Serde<K>::Fits(spec.key) || !Serde<V>::Fits(spec.value)) {
      return InvalidArgument(
          "store " + spec.name + ": the handle's types do not fit the store's serdes (key " +
          std::string(SerdeName(spec.key)) + ", value " + std::string(SerdeName(spec.value)) + ")");
    }
    backend_ = backend;
    return Status::Ok();
  }

  [[nodiscard]] std::optional<Value> Get(const K& key) const {
    const auto bytes = backend_->Get(Serde<K>::Encode(key));
    if (!bytes) return std::nullopt;
    auto value = Serde<V>::Decode(*bytes);
    if (!value) backend_->Fail(NotOfSerde("value", bytes->size(), backend_->spec().value));
    return value;
  }
  void Put(const K& key, const V& value) {
    backend_->Put(Serde<K>::Encode(key), Serde<V>::Encode(value));
  }
  void Remove(const K& key) { backend_->Remove(Serde<K>::Encode(key)); }

  // Calls visit(key, value) in key order until it returns false.
  using Visitor = std::function<bool(typename Serde<K>::Decoded, Value)>;
  void Range(const K& from, const K& to, const Visitor& visit) const {
    Visit(*backend_->Range(Serde<K>::Encode(from), Serde<K>::Encode(to)), visit);
  }
  void All(const Visitor& visit) const { Visit(*backend_->Range({}, {}), visit); }
  // Keys that begin with these bytes.
  void Prefix(std::string_view prefix, const Visitor& visit) const;

  // Batch forms.
  void PutAll(std::span<const std::pair<K, V>> entries) {
    for (const auto& [key, value] : entries) Put(key, value);
  }
  [[nodiscard]] std::vector<std::optional<Value>> GetAll(std::span<const K> keys) const {
    std::vector<std::optional<Value>> out;
    out.reserve(keys.size());
    for (const K& key : keys) out.push_back(Get(key));
    return out;
  }

 private:
  void Visit(StoreIterator& it, const Visitor& visit) const {
    for (; it.Valid(); it.Next()) {
      auto key = Serde<K>::Decode(it.key());
      auto value = Serde<V>::Decode(it.value());
      if (!key) return backend_->Fail(NotOfSerde("key", it.key().size(), backend_->spec().key));
      if (!value)
        return backend_->Fail(NotOfSerde("value", it.value().size(), backend_->spec().value));
      if (!visit(*std::move(key), *std::move(value))) return;
    }
  }
  StoreBackend* backend_ = nullptr;
};

// The smallest byte string above every one that begins with `prefix`; empty: there is none.
[[nodiscard]] std::string PrefixEnd(std::string_view prefix);

template <class K, class V>
void KeyValueStore<K, V>::Prefix(std::string_view prefix, const Visitor& visit) const {
  Visit(*backend_->Range(prefix, PrefixEnd(prefix)), visit);
}

}  // namespace coho
