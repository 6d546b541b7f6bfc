// TLS for connections: version 1.3, both ends with a certificate of the cluster's own authority.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

namespace curvefs::net {

struct TlsFiles {
  std::string ca;    // PEM: the authorities whose certificates are trusted; nobody else's are
  std::string cert;  // PEM: ours, with what lies between it and the authority
  std::string key;   // PEM
  bool given() const { return !ca.empty() || !cert.empty() || !key.empty(); }
};

// What is loaded of them; shared by all connections. Thread-safe.
class TlsContext {
 public:
  // kInvalid: a file is not there, not PEM, or key and certificate do not fit, or it has expired.
  static Result<std::shared_ptr<TlsContext>> Load(const TlsFiles& files);
  ~TlsContext();

 private:
  friend class TlsStream;
  TlsContext() = default;
  void* context_ = nullptr;  // SSL_CTX
};

// Null without any file: no TLS. kInvalid: as Load, or one or two of the three are missing.
Result<std::shared_ptr<TlsContext>> LoadTls(const TlsFiles& files);

// One connection's TLS, without its socket: bytes of the wire go in by Feed and come out by wire(). Not
// thread-safe.
class TlsStream {
 public:
  // A dialling side names whom it expects: a host name or address that the certificate must be for.
  TlsStream(const TlsContext& context, bool dials, const std::string& name);
  ~TlsStream();

  void Feed(std::string_view bytes);
  // True once the handshake is over; Read and Write only then. After a failure wire() tells the other end.
  Result<bool> Handshake();
  // How much was put to `out`; 0: more must be fed. kUnavailable: the other end has closed in order.
  Result<size_t> Read(char* out, size_t n);
  Status Write(std::string_view bytes);
  // What is to be sent is appended.
  void TakeWire(std::string* out);

 private:
  void* ssl_;  // SSL
};

}  // namespace curvefs::net
