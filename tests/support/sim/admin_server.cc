// A worker of the simulation serves no HTTP and has no command line.
#include "worker/admin/admin_server.h"

#include "worker/flags.h"

namespace coho::http {

struct Server::Impl {};

Server::Server(Options) {}
Server::~Server() = default;
int Server::port() const { return 0; }

}  // namespace coho::http

namespace coho {

Result<std::unique_ptr<http::Server>> StartAdminServer(const AdminOptions&) {
  return std::make_unique<http::Server>(http::Server::Options{});
}

std::string WorkerVersion() { return "simulated"; }

}  // namespace coho
