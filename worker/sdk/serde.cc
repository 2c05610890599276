#include "worker/sdk/serde.h"

#include <simdjson.h>

#include <charconv>
#include <memory>

namespace coho {

namespace {

constexpr size_t kJsonDepthMax = 64;
// A parser keeps the memory of the largest document it has seen; larger ones get a parser of their
// own.
constexpr size_t kJsonKeptBytesMax = 256 << 10;

Status CheckJson(std::string_view bytes) {
  if (bytes.empty()) return InvalidRecord("found 0 bytes, need a JSON document");
  thread_local std::unique_ptr<simdjson::dom::parser> kept;
  std::unique_ptr<simdjson::dom::parser> large;
  auto& parser = bytes.size() <= kJsonKeptBytesMax ? kept : large;
  if (!parser) {
    parser = std::make_unique<simdjson::dom::parser>();
    if (parser->allocate(4096, kJsonDepthMax) != simdjson::SUCCESS)
      return ResourceExhausted("no memory to parse JSON");
  }
  if (parser->capacity() < bytes.size() &&
      parser->allocate(bytes.size(), kJsonDepthMax) != simdjson::SUCCESS) {
    return ResourceExhausted("no memory to parse JSON");
  }
  simdjson::dom::element root;
  const simdjson::error_code error = parser->parse(bytes.data(), bytes.size()).get(root);
  switch (error) {
    case simdjson::SUCCESS:
      return Status::Ok();
    case simdjson::DEPTH_ERROR:
      return InvalidRecord("JSON is nested deeper than " + std::to_string(kJsonDepthMax) +
                           " levels");
    case simdjson::NUMBER_ERROR:
      return InvalidRecord(
          "JSON has a number that is malformed or fits neither 64 bits nor a double");
    case simdjson::UTF8_ERROR:
      return InvalidRecord("JSON is not valid UTF-8");
    case simdjson::MEMALLOC:
      return ResourceExhausted("no memory to parse JSON");
    default:
      return InvalidRecord("not valid JSON: " + std::string(simdjson::error_message(error)));
  }
}

}  // namespace

Status CheckBytes(SerdeType type, std::string_view bytes) {
  switch (type) {
    case SerdeType::kBytes:
      return Status::Ok();
    case SerdeType::kString:
      if (simdjson::validate_utf8(bytes.data(), bytes.size())) return Status::Ok();
      return InvalidRecord("not valid UTF-8, which a string has to be");
    case SerdeType::kInt64:
      if (bytes.size() == sizeof(int64_t)) return Status::Ok();
      return InvalidRecord("found " + std::to_string(bytes.size()) + " bytes, an int64 has 8");
    case SerdeType::kJson:
      return CheckJson(bytes);
  }
  return Internal("unknown serde");
}

std::string_view EncodeInt64As(SerdeType type, int64_t value, Int64Buffer* buffer) {
  if (type == SerdeType::kInt64 || type == SerdeType::kBytes) {
    const Int64Bytes bytes = EncodeInt64(value);
    std::memcpy(buffer->data(), bytes.data(), bytes.size());
    return {buffer->data(), bytes.size()};
  }
  const auto end = std::to_chars(buffer->data(), buffer->data() + buffer->size(), value).ptr;
  return {buffer->data(), static_cast<size_t>(end - buffer->data())};
}

}  // namespace coho
