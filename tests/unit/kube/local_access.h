// Credentials for an API server that is a test's own.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <utility>

#include "operator/kube/access.h"

namespace coho::kube {

[[nodiscard]] inline ClusterAccess LocalAccess(int port) {
  ClusterAccess access;
  access.host = "127.0.0.1";
  access.port = port;
  access.use_tls = false;
  return access;
}

[[nodiscard]] inline std::unique_ptr<AccessSource> AccessSourceOf(AccessSource::Load load) {
  auto source = AccessSource::Create(std::move(load), Clock::Real());
  REQUIRE(source.ok());
  return std::move(*source);
}

[[nodiscard]] inline std::unique_ptr<AccessSource> LocalAccessSource(int port) {
  return AccessSourceOf([port] { return LocalAccess(port); });
}

}  // namespace coho::kube
