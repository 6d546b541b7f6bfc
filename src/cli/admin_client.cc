#include "cli/admin_client.h"

namespace curvefs::cli {

Result<AdminClient> AdminClient::To(const std::string& server, const std::string& cluster,
                                    const net::TlsFiles& tls, Duration deadline) {
  AdminClient client;
  client.server_ = server;
  client.deadline_ = deadline;
  CURVEFS_TRY(const net::Address address, net::ParseAddress(server));
  net::ClientOptions options{.dialer = {.address = address, .hello = {.cluster = cluster}}};
  CURVEFS_TRY(options.dialer.connection.tls, net::LoadTls(tls));
  client.client_ = std::make_unique<net::BlockingClient>(std::move(options));
  return client;
}

Status AdminClient::Explain(const Status& status, const proto::ResponseHeader& header) const {
  if (status.code() != Code::kNotLeader) return {status.code(), server_ + ": " + status.ToString()};
  std::string text = server_ + " does not lead the copyset";
  text += header.leader().address().empty() ? "; nobody is known to" : "; ask " + header.leader().address();
  return {Code::kNotLeader, text};
}

}  // namespace curvefs::cli
