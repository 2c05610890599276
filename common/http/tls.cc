#include "common/http/tls.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>
#include <vector>

namespace coho::http {
namespace {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Bio = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;

// OpenSSL calls the verifier on the thread that shakes hands, with no room for a pointer of ours.
thread_local std::string g_refusal;

int RememberRefusal(int ok, X509_STORE_CTX* context) {
  if (ok == 0) g_refusal = X509_verify_cert_error_string(X509_STORE_CTX_get_error(context));
  return ok;
}

Bio OpenText(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::vector<Certificate> ReadCertificates(const std::string& pem) {
  std::vector<Certificate> found;
  const Bio bio = OpenText(pem);
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    found.emplace_back(certificate);
  }
  ERR_clear_error();  // reading ends with "no start line"
  return found;
}

Status UseClientCertificate(const TlsOptions& options, SSL_CTX* context) {
  const std::vector<Certificate> chain = ReadCertificates(options.client_cert_pem);
  if (chain.empty()) return InvalidArgument("client certificate: found no PEM certificate in it");
  const Bio bio = OpenText(options.client_key_pem);
  const PrivateKey key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  if (key == nullptr) {
    ERR_clear_error();
    return InvalidArgument("client key: found no unencrypted PEM private key in it");
  }
  bool ok = SSL_CTX_use_certificate(context, chain[0].get()) == 1;
  for (size_t i = 1; ok && i < chain.size(); ++i) {
    ok = SSL_CTX_add1_chain_cert(context, chain[i].get()) == 1;
  }
  if (!ok || SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    ERR_clear_error();
    return InvalidArgument("client certificate and key do not belong together");
  }
  return Status::Ok();
}

}  // namespace

Status ConfigureTls(const TlsOptions& options, const std::string& host, SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  if (!options.client_cert_pem.empty() || !options.client_key_pem.empty()) {
    COHO_RETURN_IF_ERROR(UseClientCertificate(options, context));
  }
  if (options.skip_verify) {
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nullptr);
    return Status::Ok();
  }
  if (options.ca_pem.empty()) {
    SSL_CTX_set_default_verify_paths(context);
  } else {
    const std::vector<Certificate> authorities = ReadCertificates(options.ca_pem);
    if (authorities.empty())
      return InvalidArgument("certificate authority: found no PEM certificate in it");
    X509_STORE* store = SSL_CTX_get_cert_store(context);
    for (const Certificate& authority : authorities) X509_STORE_add_cert(store, authority.get());
  }
  const std::string& name = options.server_name.empty() ? host : options.server_name;
  X509_VERIFY_PARAM* rules = SSL_CTX_get0_param(context);
  in6_addr address{};
  const bool is_address = inet_pton(AF_INET, name.c_str(), &address) == 1 ||
                          inet_pton(AF_INET6, name.c_str(), &address) == 1;
  const int set = is_address ? X509_VERIFY_PARAM_set1_ip_asc(rules, name.c_str())
                             : X509_VERIFY_PARAM_set1_host(rules, name.c_str(), name.size());
  if (set != 1)
    return InvalidArgument("TLS server name \"" + name +
                           "\" is neither a host name nor an address");
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, RememberRefusal);
  return Status::Ok();
}

std::string TakeTlsRefusal() { return std::exchange(g_refusal, {}); }

}  // namespace coho::http
