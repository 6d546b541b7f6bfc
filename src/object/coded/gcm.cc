#include "object/coded/gcm.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <cstring>
#include <memory>

namespace curvefs::object {
namespace {

constexpr size_t kNonceBytes = 12;

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* c) const { EVP_CIPHER_CTX_free(c); }
};

EVP_CIPHER_CTX* ThreadContext() {
  thread_local std::unique_ptr<EVP_CIPHER_CTX, FreeContext> context(EVP_CIPHER_CTX_new());
  CURVEFS_CHECK(context != nullptr);
  return context.get();
}

// The number, after four zero bytes.
void MakeNonce(uint64_t number, unsigned char* nonce) {
  std::memset(nonce, 0, kNonceBytes);
  std::memcpy(nonce + kNonceBytes - sizeof number, &number, sizeof number);
}

const unsigned char* In(std::string_view s) {
  return reinterpret_cast<const unsigned char*>(s.data());
}

}  // namespace

void Gcm::Seal(uint64_t number, std::string_view bound, std::string_view plain, char* out) const {
  EVP_CIPHER_CTX* c = ThreadContext();
  unsigned char nonce[kNonceBytes];
  MakeNonce(number, nonce);
  auto* to = reinterpret_cast<unsigned char*>(out);
  int n = 0, last = 0;
  // None of these fails with arguments that are right.
  CURVEFS_CHECK(EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), nullptr, key_.data(), nonce) == 1);
  CURVEFS_CHECK(EVP_EncryptUpdate(c, nullptr, &n, In(bound), static_cast<int>(bound.size())) == 1);
  n = 0;
  if (!plain.empty()) {
    CURVEFS_CHECK(EVP_EncryptUpdate(c, to, &n, In(plain), static_cast<int>(plain.size())) == 1);
  }
  CURVEFS_CHECK(EVP_EncryptFinal_ex(c, to + n, &last) == 1);
  CURVEFS_CHECK(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, kTagBytes, to + plain.size()) == 1);
}

bool Gcm::Open(uint64_t number, std::string_view bound, std::string_view sealed, char* out) const {
  if (sealed.size() < kTagBytes) return false;
  const std::string_view text = sealed.substr(0, sealed.size() - kTagBytes);
  EVP_CIPHER_CTX* c = ThreadContext();
  unsigned char nonce[kNonceBytes], tag[kTagBytes];
  MakeNonce(number, nonce);
  std::memcpy(tag, sealed.data() + text.size(), kTagBytes);
  auto* to = reinterpret_cast<unsigned char*>(out);
  int n = 0, last = 0;
  const bool good =
      EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), nullptr, key_.data(), nonce) == 1 &&
      EVP_DecryptUpdate(c, nullptr, &n, In(bound), static_cast<int>(bound.size())) == 1 &&
      (n = 0, text.empty() || EVP_DecryptUpdate(c, to, &n, In(text), static_cast<int>(text.size())) == 1) &&
      EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, kTagBytes, tag) == 1 &&
      EVP_DecryptFinal_ex(c, to + n, &last) == 1;
  if (!good && !text.empty()) OPENSSL_cleanse(out, text.size());
  return good;
}

}  // namespace curvefs::object
