// Base64 as in Secrets and kubeconfig files.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace coho::kube {

// White space is passed over; nullopt: a character that is not base64.
[[nodiscard]] std::optional<std::string> DecodeBase64(std::string_view text);

}  // namespace coho::kube
