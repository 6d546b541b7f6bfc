#include "net/grpc/credentials.h"

#include <grpc/support/log.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <iterator>

namespace curvefs::net {
namespace {

Result<std::string> Contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Fail(Code::kInvalid, "cannot read the TLS file '" + path + "'");
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// gRPC says only at the first handshake, and in its own log, that a file is no good.
Status Check(const TlsFiles& tls) {
  auto loaded = LoadTls(tls);
  return loaded ? Status() : loaded.error();
}

}  // namespace

Result<std::shared_ptr<grpc::ChannelCredentials>> ChannelCredentialsOf(const TlsFiles& tls, bool anonymous) {
  if (!tls.given()) return grpc::InsecureChannelCredentials();
  const bool shows = !anonymous || !tls.cert.empty() || !tls.key.empty();
  if (shows) CURVEFS_CHECK_OK(Check(tls));
  grpc::SslCredentialsOptions options;
  CURVEFS_TRY(options.pem_root_certs, Contents(tls.ca));
  if (shows) {
    CURVEFS_TRY(options.pem_cert_chain, Contents(tls.cert));
    CURVEFS_TRY(options.pem_private_key, Contents(tls.key));
  }
  return grpc::SslCredentials(options);
}

Result<std::shared_ptr<grpc::ServerCredentials>> ServerCredentialsOf(const TlsFiles& tls) {
  if (!tls.given()) return grpc::InsecureServerCredentials();
  CURVEFS_CHECK_OK(Check(tls));
  grpc::SslServerCredentialsOptions options(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  CURVEFS_TRY(options.pem_root_certs, Contents(tls.ca));
  grpc::SslServerCredentialsOptions::PemKeyCertPair pair;
  CURVEFS_TRY(pair.cert_chain, Contents(tls.cert));
  CURVEFS_TRY(pair.private_key, Contents(tls.key));
  options.pem_key_cert_pairs.push_back(std::move(pair));
  return grpc::SslServerCredentials(options);
}

void SilenceGrpc() {
  if (std::getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_verbosity(static_cast<gpr_log_severity>(3));
}

std::string WhyUnanswered(const grpc::Status& status, bool tls) {
  std::string text = status.error_message(), low = text;
  std::ranges::transform(low, low.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (char& c : low)
    if (c == '_') c = ' ';
  auto says = [&](const char* what) { return low.find(what) != low.npos; };
  if (says("connection refused") || says("no route") || says("timeout") || says("deadline")) return text;
  if (tls) {
    if (says("certificate verify failed")) {
      text +=
          " (its certificate is not by the authority of our --tls-ca, or is expired: give the cluster's own "
          "authority, or issue it a new one)";
    } else if (says("wrong version number") || says("wrong ssl version")) {
      text += " (it speaks no TLS: leave --tls-ca, --tls-cert and --tls-key out, or give it them, too)";
    } else if (says("peer name") || says("hostname verification")) {
      text +=
          " (its certificate is for another name or address than the one that it is asked at: issue it one "
          "that has this one as well)";
    } else if (says("socket closed") || says("connection reset") || says("broken pipe") || says("alert")) {
      text +=
          " (it closed the connection: it may not accept our certificate; --tls-cert must be by the "
          "cluster's authority, and not expired)";
    }
  } else if (says("socket closed") || says("connection reset") || says("broken pipe") ||
             says("server preface")) {
    text += " (does it want TLS? Then give --tls-ca, --tls-cert and --tls-key)";
  }
  return text;
}

}  // namespace curvefs::net
