#include "test/support/certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <utility>

namespace curvefs::test {
namespace {

EVP_PKEY* NewKey() {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  CURVEFS_CHECK(key != nullptr);
  return key;
}

X509* NewCertificate(long serial, const std::string& subject, X509* issuer, EVP_PKEY* key) {  // NOLINT
  X509* x = X509_new();
  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), serial);
  X509_gmtime_adj(X509_getm_notBefore(x), -3600);
  X509_gmtime_adj(X509_getm_notAfter(x), 24 * 3600);
  X509_set_pubkey(x, key);
  X509_NAME* name = X509_get_subject_name(x);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(subject.c_str()), -1, -1, 0);
  X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer : x));
  return x;
}

void Extend(X509* x, X509* issuer, int what, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, x, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str());
  CURVEFS_CHECK(extension != nullptr);
  X509_add_ext(x, extension, -1);
  X509_EXTENSION_free(extension);
}

void Write(const std::string& path, X509* certificate, EVP_PKEY* key) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  CURVEFS_CHECK(file != nullptr);
  if (certificate) PEM_write_X509(file, certificate);
  if (key) PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(file);
}

}  // namespace

Authority::Authority(std::string directory, std::string name)
    : directory_(std::move(directory)), name_(std::move(name)), key_(NewKey()) {
  auto* key = static_cast<EVP_PKEY*>(key_);
  X509* x = NewCertificate(serial_++, name_, nullptr, key);
  Extend(x, x, NID_basic_constraints, "critical,CA:TRUE");
  CURVEFS_CHECK(X509_sign(x, key, EVP_sha256()) > 0);
  certificate_ = x;
  Write(directory_ + "/" + name_ + "-ca.pem", x, nullptr);
}

Authority::~Authority() {
  X509_free(static_cast<X509*>(certificate_));
  EVP_PKEY_free(static_cast<EVP_PKEY*>(key_));
}

net::TlsFiles Authority::Issue(const std::string& host) {
  auto* issuer = static_cast<X509*>(certificate_);
  EVP_PKEY* key = NewKey();
  const std::string stem = directory_ + "/" + name_ + "-" + std::to_string(serial_);
  X509* x = NewCertificate(serial_++, host, issuer, key);
  const bool address = host.find_first_not_of("0123456789.") == std::string::npos;
  Extend(x, issuer, NID_subject_alt_name, (address ? "IP:" : "DNS:") + host);
  CURVEFS_CHECK(X509_sign(x, static_cast<EVP_PKEY*>(key_), EVP_sha256()) > 0);
  Write(stem + ".pem", x, nullptr);
  Write(stem + ".key", nullptr, key);
  X509_free(x);
  EVP_PKEY_free(key);
  return {.ca = directory_ + "/" + name_ + "-ca.pem", .cert = stem + ".pem", .key = stem + ".key"};
}

}  // namespace curvefs::test
