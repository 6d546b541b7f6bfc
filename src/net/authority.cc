#include "net/authority.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <utility>

#include "base/disk.h"

namespace curvefs::net {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

Status Failed(const char* what) {
  const char* reason = ERR_reason_error_string(ERR_get_error());
  ERR_clear_error();
  return {Code::kIo, std::string("cannot ") + what + ": " + (reason ? reason : "unknown")};
}

bool Extend(X509* x, X509* issuer, int what, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, x, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str());
  const bool added = extension != nullptr && X509_add_ext(x, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

// Unsigned. `issuer`: none, it is its own.
Result<Certificate> NewCertificate(const std::string& subject, X509* issuer, EVP_PKEY* key,
                                   std::chrono::seconds valid) {
  Certificate x(X509_new(), &X509_free);
  unsigned char serial[8];
  if (!x || RAND_bytes(serial, sizeof serial) != 1) return Fail(Failed("make a certificate"));
  uint64_t number = 0;
  for (unsigned char byte : serial) number = number << 8 | byte;
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(x.get()), number >> 1);
  X509_set_version(x.get(), 2);
  X509_gmtime_adj(X509_getm_notBefore(x.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(x.get()), valid.count());
  X509_set_pubkey(x.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(subject.c_str()), -1, -1, 0);
  X509_set_issuer_name(x.get(), X509_get_subject_name(issuer ? issuer : x.get()));
  return x;
}

// PEM of one of them.
Status Write(const std::string& path, X509* certificate, EVP_PKEY* key) {
  BIO* bio = BIO_new(BIO_s_mem());
  const bool made = key ? PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr) == 1
                        : PEM_write_bio_X509(bio, certificate) == 1;
  char* data = nullptr;
  const long n = BIO_get_mem_data(bio, &data);  // NOLINT: its type
  const std::string text(data, n > 0 ? static_cast<size_t>(n) : 0);
  BIO_free(bio);
  if (!made) return Failed("write PEM");
  // A key is for the owner of its file alone.
  const mode_t mask = ::umask(key ? 077 : 022);
  const Status written = Disk::Posix().WriteFileAtomically(path, text);
  ::umask(mask);
  return written;
}

bool IsAddress(const std::string& host) {
  return host.find_first_not_of("0123456789.") == host.npos || host.find(':') != host.npos;
}

}  // namespace

Result<std::unique_ptr<Authority>> Authority::Make(std::string stem, const std::string& name,
                                                   std::chrono::seconds valid) {
  std::unique_ptr<Authority> made(new Authority(std::move(stem)));
  Key key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  if (!key) return Fail(Failed("make a key"));
  CURVEFS_TRY(Certificate x, NewCertificate(name, nullptr, key.get(), valid));
  if (!Extend(x.get(), x.get(), NID_basic_constraints, "critical,CA:TRUE") ||
      !Extend(x.get(), x.get(), NID_key_usage, "critical,keyCertSign,cRLSign") ||
      X509_sign(x.get(), key.get(), EVP_sha256()) == 0)
    return Fail(Failed("sign a certificate"));
  CURVEFS_CHECK_OK(Write(made->stem_ + "-ca.pem", x.get(), nullptr));
  CURVEFS_CHECK_OK(Write(made->stem_ + "-ca.key", nullptr, key.get()));
  made->key_ = key.release();
  made->certificate_ = x.release();
  return made;
}

Authority::~Authority() {
  X509_free(static_cast<X509*>(certificate_));
  EVP_PKEY_free(static_cast<EVP_PKEY*>(key_));
}

Result<TlsFiles> Authority::Issue(const std::string& file, const std::vector<std::string>& hosts,
                                  std::chrono::seconds valid) {
  auto* issuer = static_cast<X509*>(certificate_);
  Key key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  if (!key) return Fail(Failed("make a key"));
  CURVEFS_TRY(Certificate x, NewCertificate(hosts.front(), issuer, key.get(), valid));
  std::string names;
  for (const std::string& host : hosts)
    names += (names.empty() ? "" : ",") + std::string(IsAddress(host) ? "IP:" : "DNS:") + host;
  if (!Extend(x.get(), issuer, NID_subject_alt_name, names) ||
      !Extend(x.get(), issuer, NID_ext_key_usage, "serverAuth,clientAuth") ||
      X509_sign(x.get(), static_cast<EVP_PKEY*>(key_), EVP_sha256()) == 0)
    return Fail(Failed("sign a certificate"));
  CURVEFS_CHECK_OK(Write(file + ".pem", x.get(), nullptr));
  CURVEFS_CHECK_OK(Write(file + ".key", nullptr, key.get()));
  return TlsFiles{.ca = stem_ + "-ca.pem", .cert = file + ".pem", .key = file + ".key"};
}

}  // namespace curvefs::net
