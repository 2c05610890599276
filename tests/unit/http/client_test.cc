#include "common/http/client.h"

#include <doctest/doctest.h>

#include <future>

#include "tests/unit/http/scripted_server.h"

namespace coho::http {
namespace {

std::unique_ptr<Client> Connect(int port, Duration read_timeout = std::chrono::seconds(5)) {
  auto client = Client::Create({.host = "127.0.0.1",
                                .port = port,
                                .use_tls = false,
                                .tls = {},
                                .read_timeout = read_timeout});
  REQUIRE(client.ok());
  return std::move(*client);
}

TEST_CASE("HTTP client: sends method, path, headers and body as given, on one connection") {
  std::vector<ScriptedRequest> seen;
  ScriptedServer server([&](const ScriptedRequest& request, const ScriptedServer::Connection& to) {
    seen.push_back(request);
    return to.Answer(seen.size() == 1 ? 201 : 404, "{\"n\":1}", "Retry-After: 7\r\n");
  });
  const auto client = Connect(server.port());
  const auto first = client->Send("PATCH", "/a%2Fb?c=d%20e", {{"X-Thing", "yes"}}, "body");
  REQUIRE(first.ok());
  CHECK(first->status == 201);
  CHECK(first->body == "{\"n\":1}");
  CHECK(first->headers.at("retry-after") == "7");
  const auto second = client->Send("GET", "/", {}, "");
  REQUIRE(second.ok());
  CHECK(second->status == 404);
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].method == "PATCH");
  CHECK(seen[0].target == "/a%2Fb?c=d%20e");
  CHECK(seen[0].head.find("X-Thing: yes") != std::string::npos);
  CHECK(seen[0].body == "body");
  CHECK(server.connections() == 1);
}

TEST_CASE("HTTP client: connects again when the server closed the idle connection") {
  ScriptedServer server([&](const ScriptedRequest&, const ScriptedServer::Connection& to) {
    to.Answer(200, "x");
    return false;
  });
  const auto client = Connect(server.port());
  for (int i = 0; i < 3; ++i) {
    auto response = client->Send("GET", "/", {}, "");
    // The close may arrive while the next request is on its way; then it is told, and once more is
    // enough.
    if (!response.ok()) {
      CHECK(response.status().code() == Code::kUnavailable);
      response = client->Send("GET", "/", {}, "");
    }
    REQUIRE_MESSAGE(response.ok(), response.status().ToString());
    CHECK(response->body == "x");
  }
  CHECK(server.connections() >= 2);
}

TEST_CASE("HTTP client: streams chunks as they come, until the receiver has enough") {
  ScriptedServer server([](const ScriptedRequest&, const ScriptedServer::Connection& to) {
    to.BeginChunks();
    for (const char* part : {"on", "e\ntw", "o\n"}) to.Chunk(part);
    to.StayOpen();
    return false;
  });
  const auto client = Connect(server.port());
  std::string got;
  const auto response = client->Stream("/", {}, [&](std::string_view chunk) {
    got += chunk;
    return got != "one\ntwo\n";
  });
  CHECK(got == "one\ntwo\n");
  REQUIRE(response.ok());
  CHECK(response->status == 200);
}

TEST_CASE("HTTP client: a stream refused by the server is an answer with its body") {
  ScriptedServer server([](const ScriptedRequest&, const ScriptedServer::Connection& to) {
    return to.Answer(410, "gone");
  });
  const auto client = Connect(server.port());
  const auto response = client->Stream("/", {}, [](std::string_view) {
    FAIL("no chunk expected");
    return true;
  });
  REQUIRE(response.ok());
  CHECK(response->status == 410);
  CHECK(response->body == "gone");
}

TEST_CASE("HTTP client: failures say what happened") {
  SUBCASE("nobody listens") {
    int port = 0;
    {
      ScriptedServer server(
          [](const ScriptedRequest&, const ScriptedServer::Connection&) { return false; });
      port = server.port();
    }
    const auto response = Connect(port)->Send("GET", "/", {}, "");
    REQUIRE(!response.ok());
    CHECK(response.status().code() == Code::kUnavailable);
    CHECK(response.status().message().find("127.0.0.1:" + std::to_string(port)) !=
          std::string::npos);
  }
  SUBCASE("the server falls silent") {
    ScriptedServer server([](const ScriptedRequest&, const ScriptedServer::Connection& to) {
      to.BeginChunks();
      to.StayOpen();
      return false;
    });
    const auto response = Connect(server.port(), std::chrono::milliseconds(100))
                              ->Stream("/", {}, [](std::string_view) { return true; });
    REQUIRE(!response.ok());
    CHECK(response.status().code() == Code::kDeadlineExceeded);
  }
  SUBCASE("the connection breaks inside the answer") {
    ScriptedServer server([](const ScriptedRequest&, const ScriptedServer::Connection& to) {
      to.Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
      return false;
    });
    const auto response = Connect(server.port())->Send("GET", "/", {}, "");
    REQUIRE(!response.ok());
    CHECK(response.status().code() == Code::kUnavailable);
  }
  SUBCASE("broken certificates") {
    const auto client =
        Client::Create({.host = "127.0.0.1", .port = 1, .tls = {.ca_pem = "no certificate"}});
    REQUIRE(!client.ok());
    CHECK(client.status().message().find("certificate authority") != std::string::npos);
  }
}

TEST_CASE("HTTP client: Cancel ends a silent stream from another thread, and every later call") {
  std::promise<void> streaming;
  ScriptedServer server([&](const ScriptedRequest&, const ScriptedServer::Connection& to) {
    to.BeginChunks();
    to.Chunk("first\n");
    to.StayOpen();
    return false;
  });
  const auto client = Connect(server.port(), std::chrono::seconds(60));
  auto result = std::async(std::launch::async, [&] {
    return client->Stream("/", {}, [&](std::string_view) {
      streaming.set_value();
      return true;
    });
  });
  streaming.get_future().wait();
  client->Cancel();
  const auto response = result.get();
  REQUIRE(!response.ok());
  CHECK(response.status().code() == Code::kAborted);
  CHECK(client->Send("GET", "/", {}, "").status().code() == Code::kAborted);
}

TEST_CASE("HTTP client: PercentEncode leaves only unreserved characters") {
  CHECK(PercentEncode("a-b_c.d~e") == "a-b_c.d~e");
  CHECK(PercentEncode("app=x/y z") == "app%3Dx%2Fy%20z");
  CHECK(PercentEncode("\xc3\xa9") == "%C3%A9");
}

}  // namespace
}  // namespace coho::http
