// The one table from librdkafka's errors to ours. Include only from .cc files of common/kafka.
#pragma once

#include <librdkafka/rdkafka.h>

#include <string>
#include <string_view>

#include "common/base/status.h"

namespace coho::kafka {

// retriable -> kUnavailable / kDeadlineExceeded, abortable -> kAborted, fenced
// (INVALID_PRODUCER_EPOCH, PRODUCER_FENCED, _FENCED) -> kFenced, wrong credentials or ACL ->
// kUnauthenticated, in a transaction, too; unknown topic -> kNotFound, the rest -> kInternal.
[[nodiscard]] Code CodeOf(rd_kafka_resp_err_t error);
// After a fatal error a client is of no more use, whoever is to blame: as one that was fenced, it
// is replaced by a new one, which then looks at what the old one left. A broker that died in the
// middle of a transaction may answer its end by INVALID_TXN_STATE, which is fatal to librdkafka.
[[nodiscard]] Code CodeOfFatal(rd_kafka_resp_err_t error);
[[nodiscard]] Status ToStatus(rd_kafka_resp_err_t error, std::string_view context);
// What Kafka's ACLs lack where they say no to a topic, and what to do: to be added to the error.
[[nodiscard]] std::string MissingRights(std::string_view operations, std::string_view topic);
// Reads the abortable/retriable/fatal flags of a transactional call, then destroys `error`. nullptr
// is OK.
[[nodiscard]] Status TakeError(rd_kafka_error_t* error, std::string_view context);

}  // namespace coho::kafka
