// One librdkafka client, whatever it is for: its configuration, its log, and what it reported about
// credentials, brokers and fatal errors. Include only from .cc files of common/kafka.
//
// librdkafka reports such errors through a callback that somebody must serve while a call waits;
// without that a wrong password looks like a timeout. Await() does so.
//
// Thread rule: as the class that owns the client; librdkafka's own threads only log.
#pragma once

#include <librdkafka/rdkafka.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/kafka/config.h"

namespace coho::kafka {

using Setting = std::pair<std::string, std::string>;

struct ClientSettings {
  std::vector<Setting> defaults;  // the user's properties may change these
  std::vector<Setting> fixed;     // and not these
  void (*delivery_report)(rd_kafka_t*, const rd_kafka_message_t*, void*) = nullptr;
  void* delivery_opaque = nullptr;  // delivery_report finds it with Client::DeliveryOpaque
};

class Client {
 public:
  // kInvalidArgument names the property ("spec.kafka.properties.<name>") or the Secret's key.
  // Connects in the background.
  [[nodiscard]] static Result<std::unique_ptr<Client>> Create(rd_kafka_type_t type,
                                                              const ClientConfig& config,
                                                              const ClientSettings& settings);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  [[nodiscard]] rd_kafka_t* get() const { return client_; }
  [[nodiscard]] static void* DeliveryOpaque(void* opaque);

  // Runs callbacks that are due: errors and delivery reports.
  void Serve(int timeout_ms) { rd_kafka_poll(client_, timeout_ms); }

  // kUnauthenticated once per report of refused credentials; kFenced for ever after a fatal error;
  // else OK.
  [[nodiscard]] Status TakeFailure();
  // Once per report that a topic or partition being read does not exist any more (kNotFound), or
  // may not be read (kUnauthenticated: of this topic alone); else OK.
  [[nodiscard]] Status TakeMissing();
  // What a call that ran out of time says: kUnavailable and the servers' names when no broker can
  // be reached.
  [[nodiscard]] Status TimedOut(std::string_view context) const;

  // Calls attempt(slice in ms) until it returns something other than a timeout, the time is over,
  // or the client reported a failure that makes waiting useless. For calls of librdkafka that may
  // be repeated.
  [[nodiscard]] Status Await(Duration timeout, std::string_view context,
                             const std::function<Status(int)>& attempt);

 private:
  explicit Client(const ClientConfig& config)
      : servers_(config.bootstrap_servers), give_up_(config.give_up) {}

  static void OnError(rd_kafka_t* client, int error, const char* reason, void* opaque);
  static void OnLog(const rd_kafka_t* client, int level, const char* facility, const char* text);

  rd_kafka_t* client_ = nullptr;
  std::string servers_;
  const std::shared_ptr<const std::atomic<bool>> give_up_;
  void* delivery_opaque_ = nullptr;
  // Written by OnError, which runs on the owner's thread.
  Status refused_;  // credentials
  Status missing_;  // topic or partition
  std::string connection_error_;
  std::optional<std::string>
      unreachable_;  // no broker answers, for this reason; until the next answer
  Status fatal_;
};

// Milliseconds as librdkafka wants them: rounded up, within `max`.
[[nodiscard]] int ToMillis(Duration d, int max = 3'600'000);

}  // namespace coho::kafka
