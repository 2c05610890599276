// The outcome of an operation that can fail, as a value. Libraries' exceptions are caught where the
// library is wrapped; no code of ours throws. Only the loop that owns an operation logs its failure
// and decides about a retry: lower layers return a Status whose message names the object, what was
// found and what to do.
//
// Values; safe to copy between threads.
#pragma once

#include <cassert>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace coho {

enum class Code {
  kOk,
  kInvalidArgument,    // the user's input is wrong; trying again changes nothing
  kNotFound,           // a named thing does not exist
  kConflict,           // exists already, or changed since it was read
  kUnavailable,        // a peer cannot be reached now
  kDeadlineExceeded,   // took longer than allowed
  kUnauthenticated,    // credentials refused, or rights missing
  kAborted,            // the Kafka transaction must be aborted; then go on
  kFenced,             // another instance took over; nothing more may be written
  kCorruption,         // stored bytes do not make sense
  kResourceExhausted,  // disk, memory or a queue is full
  kInvalidRecord,      // one record cannot be processed; onError decides
  kInternal,           // broken invariant or unexpected answer
};

// Screaming-free name of a code, as it appears in logs: "InvalidArgument".
[[nodiscard]] std::string_view CodeName(Code code);

// What a loop may do about a failure (the triad of librdkafka plus fencing).
enum class RetryClass { kRetry, kAbort, kFenced, kFatal };
[[nodiscard]] RetryClass RetryClassOf(Code code);

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  [[nodiscard]] static Status Ok() { return {}; }

  [[nodiscard]] bool ok() const { return code_ == Code::kOk; }
  [[nodiscard]] Code code() const { return code_; }
  [[nodiscard]] const std::string& message() const { return message_; }
  [[nodiscard]] RetryClass retry_class() const { return RetryClassOf(code_); }

  // "NotFound: topic visits does not exist", or "OK".
  [[nodiscard]] std::string ToString() const;

  // The same status with `context` put before its message: "opening store visits: ...". OK stays
  // OK.
  [[nodiscard]] Status WithContext(std::string_view context) const;

  // Dropping a Status is spelled out, so that it can be searched for.
  void IgnoreError(std::string_view /*why*/) const {}

  friend bool operator==(const Status&, const Status&) = default;

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

[[nodiscard]] inline Status InvalidArgument(std::string m) {
  return {Code::kInvalidArgument, std::move(m)};
}
[[nodiscard]] inline Status NotFound(std::string m) { return {Code::kNotFound, std::move(m)}; }
[[nodiscard]] inline Status Conflict(std::string m) { return {Code::kConflict, std::move(m)}; }
[[nodiscard]] inline Status Unavailable(std::string m) {
  return {Code::kUnavailable, std::move(m)};
}
[[nodiscard]] inline Status DeadlineExceeded(std::string m) {
  return {Code::kDeadlineExceeded, std::move(m)};
}
[[nodiscard]] inline Status Unauthenticated(std::string m) {
  return {Code::kUnauthenticated, std::move(m)};
}
[[nodiscard]] inline Status Aborted(std::string m) { return {Code::kAborted, std::move(m)}; }
[[nodiscard]] inline Status Fenced(std::string m) { return {Code::kFenced, std::move(m)}; }
[[nodiscard]] inline Status Corruption(std::string m) { return {Code::kCorruption, std::move(m)}; }
[[nodiscard]] inline Status ResourceExhausted(std::string m) {
  return {Code::kResourceExhausted, std::move(m)};
}
// For user code: this record cannot be processed. The job's onError policy decides what becomes of
// it.
[[nodiscard]] inline Status InvalidRecord(std::string m) {
  return {Code::kInvalidRecord, std::move(m)};
}
[[nodiscard]] inline Status Internal(std::string m) { return {Code::kInternal, std::move(m)}; }

// A value or the Status that says why there is none. REQUIRES: ok() before value access; violations
// abort.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}        // NOLINT(google-explicit-constructor)
  Result(Status status) : state_(std::move(status)) {  // NOLINT(google-explicit-constructor)
    if (std::get<Status>(state_).ok()) std::abort();   // a Result without value must say why
  }

  [[nodiscard]] bool ok() const { return std::holds_alternative<T>(state_); }
  [[nodiscard]] explicit operator bool() const { return ok(); }

  [[nodiscard]] const Status& status() const {
    static const Status kOk;
    return ok() ? kOk : std::get<Status>(state_);
  }

  [[nodiscard]] T& value() & { return Checked(); }
  [[nodiscard]] const T& value() const& { return const_cast<Result*>(this)->Checked(); }
  [[nodiscard]] T&& value() && { return std::move(Checked()); }
  [[nodiscard]] T& operator*() & { return Checked(); }
  [[nodiscard]] const T& operator*() const& { return const_cast<Result*>(this)->Checked(); }
  [[nodiscard]] T&& operator*() && { return std::move(Checked()); }
  [[nodiscard]] T* operator->() { return &Checked(); }
  [[nodiscard]] const T* operator->() const { return &const_cast<Result*>(this)->Checked(); }

 private:
  T& Checked() {
    if (!ok()) std::abort();
    return std::get<T>(state_);
  }

  std::variant<T, Status> state_;
};

}  // namespace coho

// Returns early with the Status of `expr` unless it is OK.
#define COHO_RETURN_IF_ERROR(expr)                                                     \
  do {                                                                                 \
    if (::coho::Status coho_status_ = (expr); !coho_status_.ok()) return coho_status_; \
  } while (false)

#define COHO_CONCAT_INNER_(a, b) a##b
#define COHO_CONCAT_(a, b) COHO_CONCAT_INNER_(a, b)
// COHO_ASSIGN_OR_RETURN(auto x, F()): returns early with F()'s Status, or binds its value.
#define COHO_ASSIGN_OR_RETURN(lhs, expr) \
  COHO_ASSIGN_OR_RETURN_IMPL_(COHO_CONCAT_(coho_result_, __LINE__), lhs, expr)
#define COHO_ASSIGN_OR_RETURN_IMPL_(tmp, lhs, expr) \
  auto tmp = (expr);                                \
  if (!tmp.ok()) return tmp.status();               \
  lhs = std::move(tmp).value()
