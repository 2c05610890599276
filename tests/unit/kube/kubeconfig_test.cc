#include <doctest/doctest.h>

#include "operator/kube/access.h"
#include "operator/kube/base64.h"

namespace coho::kube {
namespace {

constexpr char kGood[] = R"(
apiVersion: v1
kind: Config
current-context: admin@dev
clusters:
- name: dev
  cluster: {server: "https://10.0.0.1:6443/base/", certificate-authority-data: Q0E=}
- name: files
  cluster: {server: "https://api.example", certificate-authority: pki/ca.crt, tls-server-name: kube}
- name: proxied
  cluster: {server: "https://api.example", proxy-url: "http://proxy"}
contexts:
- name: admin@dev
  context: {cluster: dev, user: admin, namespace: web}
- name: files
  context: {cluster: files, user: files}
- name: anonymous
  context: {cluster: dev}
- name: proxied
  context: {cluster: proxied, user: admin}
- name: dangling
  context: {cluster: nowhere, user: admin}
- name: plugin
  context: {cluster: dev, user: plugin}
- name: half
  context: {cluster: dev, user: half}
- name: bad-data
  context: {cluster: dev, user: bad-data}
users:
- name: admin
  user: {client-certificate-data: Q0VSVA==, client-key-data: S0VZ}
- name: files
  user: {tokenFile: /abs/token, token: ignored}
- name: plugin
  user: {exec: {command: aws}}
- name: half
  user: {client-certificate-data: Q0VSVA==}
- name: bad-data
  user: {client-certificate-data: "?"}
)";

Result<std::string> FakeFile(const std::string& path) {
  if (path == "/conf/pki/ca.crt") return std::string("FILE CA");
  if (path == "/abs/token") return std::string("t0ken\n");
  return NotFound("file " + path + ": cannot be opened");
}

TEST_CASE("Kubeconfig: inline certificates of the current context") {
  const auto access = ParseKubeconfig(kGood, "", "/conf", FakeFile);
  REQUIRE(access.ok());
  CHECK(access->host == "10.0.0.1");
  CHECK(access->port == 6443);
  CHECK(access->base_path == "/base");
  CHECK(access->tls.ca_pem == "CA");
  CHECK(access->tls.client_cert_pem == "CERT");
  CHECK(access->tls.client_key_pem == "KEY");
  CHECK(access->default_namespace == "web");
}

TEST_CASE("Kubeconfig: files, relative to its directory, of a named context") {
  const auto access = ParseKubeconfig(kGood, "files", "/conf", FakeFile);
  REQUIRE(access.ok());
  CHECK(access->tls.ca_pem == "FILE CA");
  CHECK(access->tls.server_name == "kube");
  CHECK(access->bearer_token == "t0ken");
  CHECK(access->port == 443);
}

TEST_CASE("Kubeconfig: a context without user is anonymous") {
  const auto access = ParseKubeconfig(kGood, "anonymous", "/conf", FakeFile);
  REQUIRE(access.ok());
  CHECK(access->bearer_token.empty());
}

TEST_CASE("Kubeconfig: what cannot work is refused by name") {
  const std::pair<const char*, const char*> rows[] = {
      {"missing", "no entry named \"missing\" in contexts"},
      {"dangling", "no entry named \"nowhere\" in clusters"},
      {"plugin", "credentials by exec are not supported"},
      {"proxied", "proxy-url is not supported"},
      {"half", "need both client-certificate and client-key"},
      {"bad-data", "client-certificate-data is not base64"},
  };
  for (const auto& [context, expected] : rows) {
    CAPTURE(context);
    const auto access = ParseKubeconfig(kGood, context, "/conf", FakeFile);
    REQUIRE(!access.ok());
    CAPTURE(access.status().message());
    CHECK(access.status().message().find(expected) != std::string::npos);
  }
}

TEST_CASE("Kubeconfig: any text is refused or read, never fatal") {
  for (const char* text :
       {"", "no map", "[]", "{", "a: [", "current-context: x", "current-context: [x]",
        "contexts: 5\ncurrent-context: x", "current-context: x\ncontexts: [{name: x}]",
        "current-context: x\ncontexts: [5, null, {name: x, context: 7}]",
        "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\nclusters: [{name: c, "
        "cluster: {server: ftp://x}}]",
        "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\nclusters: [{name: c, "
        "cluster: {}}]",
        "\x00\x01"}) {
    CAPTURE(text);
    CHECK(!ParseKubeconfig(text, "", "/conf", FakeFile).ok());
  }
}

TEST_CASE("Server address: forms") {
  struct Row {
    const char* url;
    const char* host;
    int port;
    bool tls;
  };
  for (const Row& row : {Row{"https://a", "a", 443, true}, Row{"http://a/", "a", 80, false},
                         Row{"https://[fd00::1]:6443", "fd00::1", 6443, true},
                         Row{"https://[::1]", "::1", 443, true}}) {
    CAPTURE(row.url);
    ClusterAccess access;
    REQUIRE(ParseServerUrl(row.url, &access).ok());
    CHECK(access.host == row.host);
    CHECK(access.port == row.port);
    CHECK(access.use_tls == row.tls);
  }
  for (const char* url : {"", "a:6443", "https://", "https://a:", "https://a:x", "https://a:70000",
                          "https://a:0", "https://[::1", "https://u@a", "https://[::1]6443"}) {
    CAPTURE(url);
    ClusterAccess access;
    CHECK(!ParseServerUrl(url, &access).ok());
  }
}

TEST_CASE(
    "Access: read again after a minute or on demand, the old values staying while that fails") {
  ManualClock clock;
  int version = 0;
  bool fails = false;
  auto source = AccessSource::Create(
      [&]() -> Result<ClusterAccess> {
        if (fails) return Unavailable("disk");
        ClusterAccess access;
        access.bearer_token = "token " + std::to_string(++version);
        return access;
      },
      clock);
  REQUIRE(source.ok());
  CHECK((*source)->Current()->bearer_token == "token 1");
  clock.Advance(std::chrono::seconds(59));
  CHECK((*source)->Current()->bearer_token == "token 1");
  clock.Advance(std::chrono::seconds(1));
  CHECK((*source)->Current()->bearer_token == "token 2");
  CHECK((*source)->Reload()->bearer_token == "token 3");
  fails = true;
  CHECK((*source)->Reload()->bearer_token == "token 3");
}

TEST_CASE("Base64: decodes with and without padding and line ends") {
  CHECK(DecodeBase64("aGVsbG8=") == "hello");
  CHECK(DecodeBase64("aGVs\nbG8") == "hello");
  CHECK(DecodeBase64("") == "");
  CHECK(!DecodeBase64("a*b"));
}

}  // namespace
}  // namespace coho::kube
