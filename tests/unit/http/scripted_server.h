// A TCP server on 127.0.0.1 that answers HTTP requests with whatever bytes a test wants: chunks cut
// anywhere, broken connections, streams that stay open. One thread a connection.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/support/loopback.h"

namespace coho {

struct ScriptedRequest {
  std::string method;
  std::string target;  // path and query
  std::string head;    // request line and headers
  std::string body;
};

class ScriptedServer {
 public:
  // What a handler writes to. Send is false when the peer is gone.
  class Connection {
   public:
    Connection(ScriptedServer& server, int fd) : server_(server), fd_(fd) {}
    bool Send(std::string_view bytes) const;
    // A whole answer with a length.
    bool Answer(int status, std::string_view body, std::string_view more_headers = "") const;
    // The head of a chunked answer, and its chunks.
    bool BeginChunks() const;
    bool Chunk(std::string_view bytes) const;
    bool EndChunks() const { return Send("0\r\n\r\n"); }
    // Until the peer closes or the server ends.
    void StayOpen() const;

   private:
    ScriptedServer& server_;
    int fd_;
  };
  // False: the connection is closed afterwards.
  using Handler = std::function<bool(const ScriptedRequest&, const Connection&)>;

  explicit ScriptedServer(Handler handler);
  ~ScriptedServer();

  [[nodiscard]] int port() const { return listener_.port(); }
  [[nodiscard]] int connections() const { return connections_; }

 private:
  void Accept();
  void Serve(int fd);

  const Handler handler_;
  const test::LoopbackListener listener_;
  std::atomic<int> connections_ = 0;
  std::atomic<bool> ending_ = false;
  std::mutex mutex_;
  std::vector<std::thread> threads_;  // guarded by mutex_
  std::vector<int> open_;             // guarded by mutex_
  std::thread acceptor_;
};

}  // namespace coho
