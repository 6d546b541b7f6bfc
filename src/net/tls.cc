#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>

namespace curvefs::net {
namespace {

SSL* Of(void* ssl) {
  return static_cast<SSL*>(ssl);
}

// What OpenSSL has to say, and an empty queue of its errors.
std::string Reason() {
  const unsigned long error = ERR_get_error();  // NOLINT: its type
  ERR_clear_error();
  if (error == 0) return "unknown";
  const char* reason = ERR_reason_error_string(error);
  std::string text = reason ? reason : "error " + std::to_string(error);
  switch (ERR_GET_REASON(error)) {
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
      return text + " (the other end does not accept our certificate)";
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return text + " (both ends must show a certificate)";
    default:
      return text;
  }
}

std::string TimeText(const ASN1_TIME* time) {
  BIO* bio = BIO_new(BIO_s_mem());
  char* data = nullptr;
  ASN1_TIME_print(bio, time);
  const long n = BIO_get_mem_data(bio, &data);  // NOLINT: its type
  std::string text(data, n > 0 ? static_cast<size_t>(n) : 0);
  BIO_free(bio);
  return text;
}

}  // namespace

Result<std::shared_ptr<TlsContext>> TlsContext::Load(const TlsFiles& files) {
  std::shared_ptr<TlsContext> tls(new TlsContext);
  SSL_CTX* context = SSL_CTX_new(TLS_method());
  CURVEFS_CHECK(context != nullptr);
  tls->context_ = context;
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  // Connections live long; tickets would only be bytes that a peer must read.
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  auto bad = [](const char* what, const std::string& file) {
    return Fail(Code::kInvalid, std::string("the TLS ") + what + " '" + file + "': " + Reason());
  };
  if (SSL_CTX_load_verify_locations(context, files.ca.c_str(), nullptr) != 1)
    return bad("authority", files.ca);
  if (SSL_CTX_use_certificate_chain_file(context, files.cert.c_str()) != 1)
    return bad("certificate", files.cert);
  if (SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM) != 1)
    return bad("key", files.key);
  if (SSL_CTX_check_private_key(context) != 1) return bad("key", files.key);
  const ASN1_TIME* end = X509_get0_notAfter(SSL_CTX_get0_certificate(context));
  if (X509_cmp_current_time(end) < 0) {
    return Fail(Code::kInvalid, "the TLS certificate '" + files.cert + "' has expired, on " + TimeText(end) +
                                    ": nobody would accept it; let the cluster's authority issue a new one");
  }
  return tls;
}

Result<std::shared_ptr<TlsContext>> LoadTls(const TlsFiles& files) {
  if (!files.given()) return nullptr;
  if (files.ca.empty() || files.cert.empty() || files.key.empty()) {
    return Fail(Code::kInvalid,
                "--tls-ca, --tls-cert and --tls-key go together: both ends show a certificate");
  }
  return TlsContext::Load(files);
}

TlsContext::~TlsContext() {
  SSL_CTX_free(static_cast<SSL_CTX*>(context_));
}

TlsStream::TlsStream(const TlsContext& context, bool dials, const std::string& name)
    : ssl_(SSL_new(static_cast<SSL_CTX*>(context.context_))) {
  SSL* ssl = Of(ssl_);
  CURVEFS_CHECK(ssl != nullptr);
  SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  if (!dials) {
    SSL_set_accept_state(ssl);
    return;
  }
  SSL_set_connect_state(ssl);
  X509_VERIFY_PARAM* param = SSL_get0_param(ssl);
  if (X509_VERIFY_PARAM_set1_ip_asc(param, name.c_str()) != 1) {
    ERR_clear_error();
    CURVEFS_CHECK(SSL_set1_host(ssl, name.c_str()) == 1);
    SSL_set_tlsext_host_name(ssl, name.c_str());
  }
}

TlsStream::~TlsStream() {
  SSL_free(Of(ssl_));
}

void TlsStream::Feed(std::string_view bytes) {
  const int n = BIO_write(SSL_get_rbio(Of(ssl_)), bytes.data(), static_cast<int>(bytes.size()));
  CURVEFS_CHECK(n == static_cast<int>(bytes.size()));  // into memory
}

Result<bool> TlsStream::Handshake() {
  const int r = SSL_do_handshake(Of(ssl_));
  if (r == 1) return true;
  if (SSL_get_error(Of(ssl_), r) == SSL_ERROR_WANT_READ) return false;
  std::string why = Reason();
  if (long verify = SSL_get_verify_result(Of(ssl_)); verify != X509_V_OK)  // NOLINT: its type
    why += std::string(", ") + X509_verify_cert_error_string(verify);
  return Fail(Code::kAccessDenied, "TLS: " + why);
}

Result<size_t> TlsStream::Read(char* out, size_t n) {
  const int r = SSL_read(Of(ssl_), out, static_cast<int>(std::min<size_t>(n, 1 << 30)));
  if (r > 0) return static_cast<size_t>(r);
  switch (SSL_get_error(Of(ssl_), r)) {
    case SSL_ERROR_WANT_READ:
      return 0;
    case SSL_ERROR_ZERO_RETURN:
      return Fail(Code::kUnavailable, "the other end has closed");
    default:
      // In TLS 1.3 a refused certificate shows here, on the side whose it is.
      return Fail(Code::kAccessDenied, "TLS: " + Reason());
  }
}

Status TlsStream::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const int r =
        SSL_write(Of(ssl_), bytes.data(), static_cast<int>(std::min<size_t>(bytes.size(), 1 << 20)));
    if (r <= 0) return {Code::kIo, "TLS: " + Reason()};
    bytes.remove_prefix(static_cast<size_t>(r));
  }
  return {};
}

void TlsStream::TakeWire(std::string* out) {
  BIO* bio = SSL_get_wbio(Of(ssl_));
  char* data = nullptr;
  const long n = BIO_get_mem_data(bio, &data);  // NOLINT: its type
  if (n > 0) out->append(data, static_cast<size_t>(n));
  (void)BIO_reset(bio);
}

}  // namespace curvefs::net
