// unique_ptr for librdkafka's objects: Owned<rd_kafka_queue_t, rd_kafka_queue_destroy>. Include
// only from .cc files of common/kafka.
#pragma once

#include <memory>

namespace coho::kafka {

template <auto Destroy>
struct OwnedDeleter {
  template <class T>
  void operator()(T* object) const {
    Destroy(object);
  }
};

template <class T, auto Destroy>
using Owned = std::unique_ptr<T, OwnedDeleter<Destroy>>;

}  // namespace coho::kafka
