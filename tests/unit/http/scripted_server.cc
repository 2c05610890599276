#include "tests/unit/http/scripted_server.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace coho {

bool ScriptedServer::Connection::Send(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool ScriptedServer::Connection::Answer(int status, std::string_view body,
                                        std::string_view more_headers) const {
  return Send("HTTP/1.1 " + std::to_string(status) +
              " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
              std::string(more_headers) + "\r\n" + std::string(body));
}

bool ScriptedServer::Connection::BeginChunks() const {
  return Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
}

bool ScriptedServer::Connection::Chunk(std::string_view bytes) const {
  char size[20];
  std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  return Send(size + std::string(bytes) + "\r\n");
}

void ScriptedServer::Connection::StayOpen() const {
  char byte = 0;
  while (!server_.ending_ && recv(fd_, &byte, 1, 0) > 0) {
  }
}

ScriptedServer::ScriptedServer(Handler handler)
    : handler_(std::move(handler)), acceptor_([this] { Accept(); }) {}

ScriptedServer::~ScriptedServer() {
  ending_ = true;
  shutdown(listener_.fd(), SHUT_RDWR);
  acceptor_.join();
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(mutex_);
    for (const int fd : open_) shutdown(fd, SHUT_RDWR);
    threads = std::move(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

void ScriptedServer::Accept() {
  while (true) {
    const int fd = listener_.Accept();
    if (fd < 0) return;
    ++connections_;
    const std::lock_guard lock(mutex_);
    open_.push_back(fd);
    threads_.emplace_back([this, fd] { Serve(fd); });
  }
}

void ScriptedServer::Serve(int fd) {
  std::string buffer;
  const auto more = [&] {
    char bytes[4096];
    const ssize_t got = recv(fd, bytes, sizeof bytes, 0);
    if (got > 0) buffer.append(bytes, static_cast<size_t>(got));
    return got > 0;
  };
  bool go_on = true;
  while (go_on && !ending_) {
    size_t end = 0;
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos && more()) {
    }
    if (end == std::string::npos) break;
    ScriptedRequest request{.method = "", .target = "", .head = buffer.substr(0, end), .body = ""};
    request.method = request.head.substr(0, request.head.find(' '));
    const size_t target = request.method.size() + 1;
    request.target = request.head.substr(target, request.head.find(' ', target) - target);
    size_t length = 0;
    if (const size_t at = request.head.find("Content-Length: "); at != std::string::npos) {
      length = std::strtoul(request.head.c_str() + at + 16, nullptr, 10);
    }
    while (buffer.size() < end + 4 + length && more()) {
    }
    request.body = buffer.substr(end + 4, length);
    buffer.erase(0, end + 4 + length);
    go_on = handler_(request, Connection(*this, fd));
  }
  const std::lock_guard lock(mutex_);
  std::erase(open_, fd);
  close(fd);
}

}  // namespace coho
