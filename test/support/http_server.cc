#include "test/support/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/status.h"

namespace curvefs::test {
namespace {

constexpr size_t kMaxHead = 64 << 10;
constexpr size_t kMaxBody = 256 << 20;

std::string PemOf(const std::function<int(BIO*)>& write) {
  BIO* bio = BIO_new(BIO_s_mem());
  CURVEFS_CHECK(write(bio) == 1);
  char* data = nullptr;
  const long n = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(n));
  BIO_free(bio);
  return text;
}

bool ParseHead(std::string_view head, HttpRequest* request) {
  const size_t line_end = head.find("\r\n");
  const std::string_view line = head.substr(0, line_end);
  const size_t one = line.find(' '), two = line.rfind(' ');
  if (one == line.npos || two <= one) return false;
  request->method = line.substr(0, one);
  const std::string_view target = line.substr(one + 1, two - one - 1);
  const size_t mark = target.find('?');
  request->path = target.substr(0, mark);
  if (mark != target.npos) request->query = target.substr(mark + 1);
  head.remove_prefix(line_end + 2);
  while (!head.empty()) {
    const size_t end = std::min(head.find("\r\n"), head.size());
    const std::string_view header = head.substr(0, end);
    head.remove_prefix(std::min(end + 2, head.size()));
    const size_t colon = header.find(':');
    if (colon == header.npos) continue;
    std::string name(header.substr(0, colon));
    std::ranges::transform(name, name.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const size_t begin = std::min(header.find_first_not_of(' ', colon + 1), header.size());
    request->headers.emplace_back(std::move(name), std::string(header.substr(begin)));
  }
  return true;
}

}  // namespace

Certificate MakeCertificate() {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* x = X509_new();
  CURVEFS_CHECK(key != nullptr && x != nullptr);
  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
  X509_gmtime_adj(X509_getm_notBefore(x), -3600);
  X509_gmtime_adj(X509_getm_notAfter(x), 86400);
  X509_set_pubkey(x, key);
  X509_NAME* name = X509_get_subject_name(x);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"),
                             -1, -1, 0);
  X509_set_issuer_name(x, name);
  X509_EXTENSION* names = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name,
                                              "DNS:localhost,DNS:*.localhost,IP:127.0.0.1");
  X509_add_ext(x, names, -1);
  X509_EXTENSION_free(names);
  CURVEFS_CHECK(X509_sign(x, key, EVP_sha256()) > 0);
  Certificate c;
  c.certificate = PemOf([&](BIO* bio) { return PEM_write_bio_X509(bio, x); });
  c.key = PemOf(
      [&](BIO* bio) { return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr); });
  X509_free(x);
  EVP_PKEY_free(key);
  return c;
}

std::string HttpRequest::Header(std::string_view name) const {
  for (const auto& [n, value] : headers) {
    if (n == name) return value;
  }
  return {};
}

HttpReply HttpReply::Text(int status, std::string body) {
  HttpReply r{.status = status};
  r.bytes = body.size();
  r.body = std::make_shared<const std::string>(std::move(body));
  return r;
}

// A connection's bytes, with or without TLS.
class HttpServer::Stream {
 public:
  Stream(int fd, SSL_CTX* tls) : fd_(fd) {
    if (tls == nullptr) return;
    ssl_ = SSL_new(tls);
    SSL_set_fd(ssl_, fd);
    ok_ = SSL_accept(ssl_) == 1;
  }
  ~Stream() {
    if (ssl_ != nullptr) SSL_free(ssl_);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  bool ok() const { return ok_; }
  // Some bytes; 0: the end.
  size_t Read(char* out, size_t n) {
    const ssize_t got = ssl_ != nullptr ? SSL_read(ssl_, out, static_cast<int>(std::min<size_t>(n, 1 << 20)))
                                        : ::recv(fd_, out, n, 0);
    return got > 0 ? static_cast<size_t>(got) : 0;
  }
  bool Write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ssl_ != nullptr ? SSL_write(ssl_, bytes.data(),
                                                    static_cast<int>(std::min<size_t>(bytes.size(), 1 << 20)))
                                        : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  // The end of the connection comes to the other side as a reset.
  void Reset() {
    const linger hard{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  }

 private:
  const int fd_;
  SSL* ssl_ = nullptr;
  bool ok_ = true;
};

HttpServer::HttpServer(uint16_t port, Handler handler, FaultChooser faults, const Certificate* certificate)
    : handler_(std::move(handler)), faults_(std::move(faults)) {
  if (certificate != nullptr) {
    SSL_CTX* tls = SSL_CTX_new(TLS_server_method());
    BIO* bio = BIO_new_mem_buf(certificate->certificate.data(), -1);
    X509* x = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    BIO_free(bio);
    bio = BIO_new_mem_buf(certificate->key.data(), -1);
    EVP_PKEY* key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
    BIO_free(bio);
    CURVEFS_CHECK(SSL_CTX_use_certificate(tls, x) == 1 && SSL_CTX_use_PrivateKey(tls, key) == 1);
    X509_free(x);
    EVP_PKEY_free(key);
    tls_ = tls;
  }
  ::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  listen_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  ::setsockopt(listen_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CURVEFS_CHECK(::bind(listen_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  CURVEFS_CHECK(::listen(listen_, 256) == 0);
  socklen_t size = sizeof address;
  ::getsockname(listen_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  accept_ = std::thread([this] { Accept(); });
}

HttpServer::~HttpServer() {
  {
    std::lock_guard lock(mu_);
    stop_ = true;
    for (auto& c : open_) ::shutdown(c.fd, SHUT_RDWR);
    changed_.notify_all();
  }
  ::shutdown(listen_, SHUT_RDWR);
  accept_.join();
  ::close(listen_);
  for (auto& c : open_) {
    c.thread.join();
    ::close(c.fd);
  }
  SSL_CTX_free(static_cast<SSL_CTX*>(tls_));
}

void HttpServer::Release() {
  std::lock_guard lock(mu_);
  released_ = true;
  changed_.notify_all();
}

void HttpServer::AwaitHeld(uint64_t n) {
  std::unique_lock lock(mu_);
  changed_.wait(lock, [&] { return held_ >= n; });
}

void HttpServer::AwaitBlackHoles(uint64_t n) {
  std::unique_lock lock(mu_);
  changed_.wait(lock, [&] { return black_holes_ >= n; });
}

void HttpServer::Accept() {
  for (;;) {
    const int fd = ::accept4(listen_, nullptr, nullptr, SOCK_CLOEXEC);
    std::lock_guard lock(mu_);
    if (stop_) {
      if (fd >= 0) ::close(fd);
      return;
    }
    if (fd < 0) continue;
    const int yes = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    ++connections_;
    open_.remove_if([](Connection& c) {
      if (!c.done) return false;
      c.thread.join();
      ::close(c.fd);
      return true;
    });
    Connection& c = open_.emplace_back();
    c.fd = fd;
    c.thread = std::thread([this, &c] {
      Serve(c.fd);
      ::shutdown(c.fd, SHUT_RDWR);
      c.done = true;
    });
  }
}

void HttpServer::Serve(int fd) {
  Stream stream(fd, static_cast<SSL_CTX*>(tls_));
  std::string left;
  while (stream.ok() && ServeOne(stream, &left)) {
  }
}

// One request and its reply; false: the connection ends.
bool HttpServer::ServeOne(Stream& stream, std::string* left) {
  size_t head_end;
  while ((head_end = left->find("\r\n\r\n")) == left->npos) {
    char some[16 << 10];
    const size_t n = left->size() < kMaxHead ? stream.Read(some, sizeof some) : 0;
    if (n == 0) return false;
    left->append(some, n);
  }
  HttpRequest request;
  if (!ParseHead(std::string_view(*left).substr(0, head_end + 2), &request)) return false;
  left->erase(0, head_end + 4);
  const WireFault fault = faults_(request);
  if (fault == WireFault::kReset) {
    stream.Reset();
    return false;
  }
  size_t length = 0;
  const std::string length_text = request.Header("content-length");
  std::from_chars(length_text.data(), length_text.data() + length_text.size(), length);
  if (length > kMaxBody) return false;
  if (request.Header("expect") == "100-continue" && !stream.Write("HTTP/1.1 100 Continue\r\n\r\n"))
    return false;
  request.body = left->substr(0, length);
  left->erase(0, request.body.size());
  size_t have = request.body.size();
  request.body.resize(length);
  while (have < length) {
    const size_t n = stream.Read(request.body.data() + have, length - have);
    if (n == 0) return false;
    have += n;
  }
  if (fault == WireFault::kBlackHole) {
    std::unique_lock lock(mu_);
    ++black_holes_;
    changed_.notify_all();
    lock.unlock();
    char byte;
    while (stream.Read(&byte, 1) > 0) {  // until the other side, or our end, gives up
    }
    return false;
  }
  const HttpReply reply = handler_(request);
  if (fault == WireFault::kHold) {
    std::unique_lock lock(mu_);
    ++held_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return released_ || stop_; });
  }
  if (fault == WireFault::kLostReply) {
    stream.Reset();
    return false;
  }
  std::string head = "HTTP/1.1 " + std::to_string(reply.status) + " Status\r\nServer: curvefs-test\r\n";
  bool has_length = false;
  for (const auto& [name, value] : reply.headers) {
    head += name + ": " + value + "\r\n";
    has_length |= name == "Content-Length";  // the answer to HEAD
  }
  if (!has_length) head += "Content-Length: " + std::to_string(reply.bytes) + "\r\n";
  head += "\r\n";
  std::string_view body;
  if (reply.body != nullptr && request.method != "HEAD")
    body = std::string_view(*reply.body).substr(reply.offset, reply.bytes);
  if (fault == WireFault::kTruncate) body = body.substr(0, body.size() / 2);
  if (!stream.Write(head) || !stream.Write(body)) return false;
  return fault != WireFault::kTruncate;
}

}  // namespace curvefs::test
