#include "common/kafka/client.h"

#include <algorithm>

#include "common/base/log.h"
#include "common/kafka/errors.h"
#include "common/kafka/log_filter.h"
#include "common/kafka/owned.h"

namespace coho::kafka {
namespace {

using std::chrono::milliseconds;

using Conf = Owned<rd_kafka_conf_t, rd_kafka_conf_destroy>;

const std::vector<Setting> kDefaults = {
    {"socket.nagle.disable", "true"},
    {"socket.keepalive.enable", "true"},
    // A broker that comes back is found again within two seconds, not ten.
    {"reconnect.backoff.max.ms", "2000"},
    // A question for offsets with the leader epoch of before a broker's restart is refused, and
    // asking again asks with the same one until the cache has a new one: by default, minutes.
    {"topic.metadata.refresh.interval.ms", "5000"},
    {"metadata.max.age.ms", "5000"},
};

// Idle connections are closed by brokers all the time: no news.
const std::vector<Setting> kFixed = {{"log.connection.close", "false"},
                                     {"allow.auto.create.topics", "false"}};

Status SetAll(rd_kafka_conf_t* conf, const std::vector<Setting>& settings) {
  char reason[256] = "";
  for (const auto& [name, value] : settings) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), reason, sizeof(reason)) !=
        RD_KAFKA_CONF_OK) {
      return InvalidArgument("Kafka setting " + name + ": " + reason);
    }
  }
  return Status::Ok();
}

Status SetProperties(rd_kafka_conf_t* conf, const ClientConfig& config) {
  char reason[256] = "";
  for (const auto& [name, value] : config.properties) {
    const std::string path = "spec.kafka.properties." + name;
    switch (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), reason, sizeof(reason))) {
      case RD_KAFKA_CONF_OK:
        break;
      case RD_KAFKA_CONF_UNKNOWN:
        return InvalidArgument(path + ": librdkafka has no property of this name");
      default:
        return InvalidArgument(path + ": " + reason);
    }
  }
  for (const auto& [name, value] : config.secrets) {
    switch (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), nullptr, 0)) {
      case RD_KAFKA_CONF_OK:
        break;
      case RD_KAFKA_CONF_UNKNOWN:
        return InvalidArgument("key " + name +
                               " of the Secret: librdkafka has no property of this name");
      default:  // librdkafka's reason quotes the value
        return InvalidArgument("key " + name +
                               " of the Secret: librdkafka does not accept this value");
    }
  }
  return Status::Ok();
}

}  // namespace

int ToMillis(Duration d, int max) {
  const auto ms = std::chrono::ceil<milliseconds>(d).count();
  return static_cast<int>(std::clamp<int64_t>(ms, 0, max));
}

Result<std::unique_ptr<Client>> Client::Create(rd_kafka_type_t type, const ClientConfig& config,
                                               const ClientSettings& settings) {
  std::unique_ptr<Client> client(new Client(config));
  client->delivery_opaque_ = settings.delivery_opaque;
  Conf conf(rd_kafka_conf_new());
  COHO_RETURN_IF_ERROR(SetAll(conf.get(), kDefaults));
  COHO_RETURN_IF_ERROR(SetAll(conf.get(), settings.defaults));
  COHO_RETURN_IF_ERROR(SetProperties(conf.get(), config));
  COHO_RETURN_IF_ERROR(SetAll(conf.get(), kFixed));
  COHO_RETURN_IF_ERROR(SetAll(conf.get(), settings.fixed));
  COHO_RETURN_IF_ERROR(SetAll(conf.get(), {{"bootstrap.servers", config.bootstrap_servers},
                                           {"client.id", config.client_id}}));

  rd_kafka_conf_set_opaque(conf.get(), client.get());
  rd_kafka_conf_set_error_cb(conf.get(), &Client::OnError);
  rd_kafka_conf_set_log_cb(conf.get(), &Client::OnLog);
  if (settings.delivery_report != nullptr)
    rd_kafka_conf_set_dr_msg_cb(conf.get(), settings.delivery_report);

  char reason[512] = "";
  rd_kafka_t* handle = rd_kafka_new(type, conf.get(), reason, sizeof(reason));
  if (handle == nullptr) return InvalidArgument("spec.kafka: " + std::string(reason));
  (void)conf.release();  // owned by the client now
  client->client_ = handle;
  return client;
}

Client::~Client() {
  if (client_ != nullptr) rd_kafka_destroy_flags(client_, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

void* Client::DeliveryOpaque(void* opaque) {
  return static_cast<Client*>(opaque)->delivery_opaque_;
}

void Client::OnError(rd_kafka_t* client, int error, const char* reason, void* opaque) {
  auto* self = static_cast<Client*>(opaque);
  auto code = static_cast<rd_kafka_resp_err_t>(error);
  if (code == RD_KAFKA_RESP_ERR__FATAL) {
    char text[512] = "";
    code = rd_kafka_fatal_error(client, text, sizeof(text));
    self->fatal_ = {CodeOfFatal(code), text};
  } else if (code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
    // "topic [partition]: reason (error)"
    const std::string_view text(reason);
    self->missing_ = Unauthenticated(
        reason + MissingRights("Read and Describe", text.substr(0, text.find(" ["))));
  } else if (CodeOf(code) == Code::kUnauthenticated) {
    self->refused_ =
        Unauthenticated("Kafka at " + self->servers_ + " refused the credentials: " + reason);
  } else if (CodeOf(code) == Code::kNotFound) {
    self->missing_ = NotFound(reason);
  } else if (code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__RESOLVE) {
    self->connection_error_ = reason;  // of one broker
  } else if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
    self->unreachable_ = self->connection_error_.empty() ? reason : self->connection_error_;
  }
}

void Client::OnLog(const rd_kafka_t* client, int level, const char* facility, const char* text) {
  const std::string_view from(facility);
  LogLevel ours = LogLevel::kDebug;
  if (level <= 2) {
    ours = LogLevel::kError;
  } else if (level <= 4) {
    ours = LogLevel::kWarn;
  } else if (level == 5) {
    ours = LogLevel::kInfo;
  }
  static LogFilter filter;
  if (ours != LogLevel::kDebug && !filter.Says(from, text, Clock::Real().Now()))
    ours = LogLevel::kDebug;
  if (!LogEnabled(ours)) return;
  Log(ours, "librdkafka",
      {{"client", client == nullptr ? "" : rd_kafka_name(client)},
       {"facility", from},
       {"text", text}});
}

Status Client::TakeFailure() {
  if (!fatal_.ok()) return fatal_;
  return std::exchange(refused_, Status::Ok());
}

Status Client::TakeMissing() { return std::exchange(missing_, Status::Ok()); }

Status Client::TimedOut(std::string_view context) const {
  // While librdkafka looks for brokers by their first names again and again, it does not say that
  // all of them are down.
  const std::string& why = unreachable_ ? *unreachable_ : connection_error_;
  if (!why.empty()) {
    return Unavailable(std::string(context) + ": Kafka at " + servers_ +
                       " cannot be reached: " + why);
  }
  return DeadlineExceeded(std::string(context) + ": Kafka at " + servers_ +
                          " did not answer in time");
}

Status Client::Await(Duration timeout, std::string_view context,
                     const std::function<Status(int)>& attempt) {
  const MonotonicTime deadline = Clock::Real().Now() + timeout;
  constexpr int kSliceMs = 1000;  // how late refused credentials are noticed
  constexpr int kPauseMs = 20;    // before another attempt at what failed at once
  while (true) {
    const Duration left = deadline - Clock::Real().Now();
    Status status = attempt(std::max(1, ToMillis(left, kSliceMs)));
    const bool again =
        status.code() == Code::kDeadlineExceeded || status.code() == Code::kUnavailable;
    if (!again) {
      if (status.ok()) {
        unreachable_.reset();
        connection_error_.clear();
      }
      return status;
    }
    Serve(status.code() == Code::kUnavailable ? kPauseMs : 0);
    if (Status failure = TakeFailure(); !failure.ok()) return failure.WithContext(context);
    if (give_up_ != nullptr && *give_up_)
      return DeadlineExceeded(std::string(context) + ": given up");
    if (Clock::Real().Now() < deadline) continue;
    // Timeouts say how; other failures say why.
    return status.code() == Code::kDeadlineExceeded || unreachable_ ? TimedOut(context) : status;
  }
}

}  // namespace coho::kafka
