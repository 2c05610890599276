#include "common/base/status.h"

namespace coho {

std::string_view CodeName(Code code) {
  switch (code) {
    case Code::kOk:
      return "OK";
    case Code::kInvalidArgument:
      return "InvalidArgument";
    case Code::kNotFound:
      return "NotFound";
    case Code::kConflict:
      return "Conflict";
    case Code::kUnavailable:
      return "Unavailable";
    case Code::kDeadlineExceeded:
      return "DeadlineExceeded";
    case Code::kUnauthenticated:
      return "Unauthenticated";
    case Code::kAborted:
      return "Aborted";
    case Code::kFenced:
      return "Fenced";
    case Code::kCorruption:
      return "Corruption";
    case Code::kResourceExhausted:
      return "ResourceExhausted";
    case Code::kInvalidRecord:
      return "InvalidRecord";
    case Code::kInternal:
      return "Internal";
  }
  return "Unknown";
}

RetryClass RetryClassOf(Code code) {
  switch (code) {
    case Code::kOk:
    case Code::kUnavailable:
    case Code::kDeadlineExceeded:
    case Code::kConflict:
    case Code::kResourceExhausted:
      return RetryClass::kRetry;
    case Code::kAborted:
      return RetryClass::kAbort;
    case Code::kFenced:
      return RetryClass::kFenced;
    case Code::kInvalidArgument:
    case Code::kNotFound:
    case Code::kUnauthenticated:
    case Code::kCorruption:
    case Code::kInvalidRecord:
    case Code::kInternal:
      return RetryClass::kFatal;
  }
  return RetryClass::kFatal;
}

std::string Status::ToString() const {
  if (ok()) return "OK";
  return std::string(CodeName(code_)) + ": " + message_;
}

Status Status::WithContext(std::string_view context) const {
  if (ok()) return *this;
  return {code_, std::string(context) + ": " + message_};
}

}  // namespace coho
