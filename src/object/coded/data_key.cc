#include "object/coded/data_key.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include <charconv>
#include <memory>
#include <vector>

#include "object/coded/gcm.h"

namespace curvefs::object {
namespace {

constexpr std::string_view kScrypt = "scrypt";
constexpr std::string_view kRsa = "rsa-oaep-sha256";
constexpr size_t kSaltBytes = 16;
constexpr uint32_t kMinLogN = 4, kMaxLogN = 20;  // what is believed of a wrapped form
constexpr uint32_t kBlock = 8, kParallel = 1;    // scrypt's r and p
constexpr uint64_t kMaxScryptMemory = uint64_t{2} << 30;
constexpr int kMinRsaBits = 2048;

std::string Random(size_t n) {
  std::string out(n, '\0');
  CURVEFS_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(n)) == 1);
  return out;
}

std::string Base64(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int n =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  out.resize(static_cast<size_t>(n));
  return out;
}

Result<std::string> FromBase64(std::string_view text) {
  std::string out(text.size() / 4 * 3 + 3, '\0');
  const int n = text.size() % 4 != 0 || text.size() > 4096
                    ? -1
                    : EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                      reinterpret_cast<const unsigned char*>(text.data()),
                                      static_cast<int>(text.size()));
  if (n < 0) return Fail(Code::kCorrupt, "the wrapped key is damaged: not base64");
  size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  out.resize(static_cast<size_t>(n) - padding);
  if (Base64(out) != text) return Fail(Code::kCorrupt, "the wrapped key is damaged: not base64");
  return out;
}

std::vector<std::string_view> Split(std::string_view text) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t at = text.find(':');
    parts.push_back(text.substr(0, at));
    if (at == text.npos) return parts;
    text.remove_prefix(at + 1);
  }
}

Result<DataKey> DeriveFromPassphrase(std::string_view passphrase, std::string_view salt, uint32_t log_n) {
  std::array<unsigned char, DataKey::kBytes> out;
  if (EVP_PBE_scrypt(passphrase.data(), passphrase.size(),
                     reinterpret_cast<const unsigned char*>(salt.data()), salt.size(), uint64_t{1} << log_n,
                     kBlock, kParallel, kMaxScryptMemory, out.data(), out.size()) != 1) {
    return Fail(Code::kNoMemory,
                "scrypt failed: it needs " + std::to_string((uint64_t{1} << log_n) >> 10) + " MiB of memory");
  }
  DataKey key(out);
  OPENSSL_cleanse(out.data(), out.size());
  return key;
}

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using RsaKey = std::unique_ptr<EVP_PKEY, FreeKey>;

// No prompt for a passphrase of the PEM file: a mount may run without a terminal.
int NoPassphrase(char*, int, int, void*) {
  return -1;
}

RsaKey ReadPem(std::string_view pem, bool need_private) {
  std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                &BIO_free);
  RsaKey key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr));
  if (!key && !need_private) {
    bio.reset(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    key.reset(PEM_read_bio_PUBKEY(bio.get(), nullptr, NoPassphrase, nullptr));
  }
  if (key &&
      (EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA || EVP_PKEY_get_bits(key.get()) < kMinRsaBits)) {
    key.reset();
  }
  return key;
}

// Encrypts or decrypts by OAEP; empty on failure.
std::string Oaep(EVP_PKEY* key, bool encrypt, std::string_view uuid, std::string_view in) {
  std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(EVP_PKEY_CTX_new(key, nullptr),
                                                                      &EVP_PKEY_CTX_free);
  EVP_PKEY_CTX* c = context.get();
  auto* label = static_cast<unsigned char*>(OPENSSL_memdup(uuid.data(), uuid.size()));  // the context's then
  const bool ready = (encrypt ? EVP_PKEY_encrypt_init(c) : EVP_PKEY_decrypt_init(c)) == 1 &&
                     EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING) == 1 &&
                     EVP_PKEY_CTX_set_rsa_oaep_md(c, EVP_sha256()) == 1 &&
                     EVP_PKEY_CTX_set_rsa_mgf1_md(c, EVP_sha256()) == 1;
  if (!ready || EVP_PKEY_CTX_set0_rsa_oaep_label(c, label, static_cast<int>(uuid.size())) != 1) {
    OPENSSL_free(label);
    return {};
  }
  auto run = [&](unsigned char* out, size_t* n) {
    const auto* from = reinterpret_cast<const unsigned char*>(in.data());
    return encrypt ? EVP_PKEY_encrypt(c, out, n, from, in.size())
                   : EVP_PKEY_decrypt(c, out, n, from, in.size());
  };
  size_t n = 0;
  if (run(nullptr, &n) != 1) return {};
  std::string out(n, '\0');
  if (run(reinterpret_cast<unsigned char*>(out.data()), &n) != 1) return {};
  out.resize(n);
  return out;
}

Result<DataKey> KeyOf(std::string_view bytes) {
  if (bytes.size() != DataKey::kBytes) return Fail(Code::kCorrupt, "the wrapped key is damaged: wrong size");
  std::array<unsigned char, DataKey::kBytes> out;
  bytes.copy(reinterpret_cast<char*>(out.data()), out.size());
  return DataKey(out);
}

std::string_view BytesOf(const DataKey& key) {
  return {reinterpret_cast<const char*>(key.data()), DataKey::kBytes};
}

Result<DataKey> UnwrapScrypt(const std::vector<std::string_view>& parts, std::string_view uuid,
                             std::string_view secret) {
  uint32_t log_n = 0;
  const auto [end, error] = std::from_chars(parts[1].data(), parts[1].data() + parts[1].size(), log_n);
  if (error != std::errc() || end != parts[1].data() + parts[1].size() || log_n < kMinLogN ||
      log_n > kMaxLogN) {
    return Fail(Code::kCorrupt,
                "the wrapped key is damaged: scrypt parameter '" + std::string(parts[1]) + "'");
  }
  CURVEFS_TRY(const std::string salt, FromBase64(parts[2]));
  CURVEFS_TRY(const std::string sealed, FromBase64(parts[3]));
  if (salt.size() != kSaltBytes || sealed.size() != DataKey::kBytes + Gcm::kTagBytes) {
    return Fail(Code::kCorrupt, "the wrapped key is damaged: wrong size");
  }
  CURVEFS_TRY(const DataKey wrapping, DeriveFromPassphrase(secret, salt, log_n));
  std::string opened(DataKey::kBytes, '\0');
  if (!Gcm(wrapping).Open(0, uuid, sealed, opened.data())) {
    return Fail(Code::kAccessDenied, "the passphrase is wrong: it does not open the file system's key");
  }
  auto key = KeyOf(opened);
  OPENSSL_cleanse(opened.data(), opened.size());
  return key;
}

}  // namespace

DataKey::~DataKey() {
  OPENSSL_cleanse(bytes_.data(), bytes_.size());
}

Result<DataKey> DataKey::Random() {
  std::array<unsigned char, kBytes> bytes;
  if (RAND_priv_bytes(bytes.data(), kBytes) != 1)
    return Fail(Code::kIo, "the system gives no random numbers");
  return DataKey(bytes);
}

Result<std::string> WrapWithPassphrase(const DataKey& key, std::string_view uuid, std::string_view passphrase,
                                       uint32_t log_n) {
  if (passphrase.empty()) return Fail(Code::kInvalid, "the passphrase is empty");
  const std::string salt = object::Random(kSaltBytes);
  CURVEFS_TRY(const DataKey wrapping, DeriveFromPassphrase(passphrase, salt, log_n));
  std::string sealed(DataKey::kBytes + Gcm::kTagBytes, '\0');
  // The nonce is fixed: the wrapping key, of a random salt, seals this one thing.
  Gcm(wrapping).Seal(0, uuid, BytesOf(key), sealed.data());
  return std::string(kScrypt) + ":" + std::to_string(log_n) + ":" + Base64(salt) + ":" + Base64(sealed);
}

Result<std::string> WrapWithRsa(const DataKey& key, std::string_view uuid, std::string_view pem) {
  const RsaKey rsa = ReadPem(pem, /*need_private=*/false);
  if (!rsa) {
    return Fail(Code::kInvalid, "not an RSA key of at least " + std::to_string(kMinRsaBits) +
                                    " bits in PEM, without a passphrase of its own");
  }
  const std::string sealed = Oaep(rsa.get(), /*encrypt=*/true, uuid, BytesOf(key));
  if (sealed.empty()) return Fail(Code::kInvalid, "the RSA key cannot be used to encrypt");
  return std::string(kRsa) + ":" + Base64(sealed);
}

Result<std::string> WrappedWith(std::string_view wrapped) {
  const auto parts = Split(wrapped);
  if (parts[0] == kScrypt && parts.size() == 4) return "passphrase";
  if (parts[0] == kRsa && parts.size() == 2) return "rsa key";
  return Fail(Code::kCorrupt, "the wrapped key is damaged, or of a newer version");
}

Result<DataKey> Unwrap(std::string_view wrapped, std::string_view uuid, std::string_view secret) {
  CURVEFS_TRY(const std::string with, WrappedWith(wrapped));
  const auto parts = Split(wrapped);
  if (parts[0] == kScrypt) return UnwrapScrypt(parts, uuid, secret);
  const RsaKey rsa = ReadPem(secret, /*need_private=*/true);
  if (!rsa) {
    return Fail(
        Code::kInvalid,
        "to open the file system the private RSA key is needed, in PEM and without a passphrase of its own");
  }
  CURVEFS_TRY(const std::string sealed, FromBase64(parts[1]));
  std::string opened = Oaep(rsa.get(), /*encrypt=*/false, uuid, sealed);
  if (opened.empty()) {
    return Fail(Code::kAccessDenied, "the RSA key is the wrong one: it does not open the file system's key");
  }
  auto key = KeyOf(opened);
  OPENSSL_cleanse(opened.data(), opened.size());
  return key;
}

}  // namespace curvefs::object
