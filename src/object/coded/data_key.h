// The data key of an encrypted file system, and the wrapped form in which it is kept (docs/FORMATS.md
// "Wrapped key"). Pure, but for randomness.
//
// The key is random and never changes; what people hold, a passphrase or an RSA key, only wraps it. So a
// passphrase can be changed without touching an object.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace curvefs::object {

// 32 bytes that are wiped when they go.
class DataKey {
 public:
  static constexpr size_t kBytes = 32;

  static Result<DataKey> Random();
  explicit DataKey(const std::array<unsigned char, kBytes>& bytes) : bytes_(bytes) {}
  DataKey(const DataKey&) = default;
  DataKey& operator=(const DataKey&) = default;
  ~DataKey();

  const unsigned char* data() const { return bytes_.data(); }
  friend bool operator==(const DataKey&, const DataKey&) = default;

 private:
  std::array<unsigned char, kBytes> bytes_;
};

// What scrypt costs: 2^log_n × 1 KiB of memory; 17: 128 MiB and a few tenths of a second.
inline constexpr uint32_t kScryptLogN = 17;

// Wraps under a passphrase (scrypt, AES-256-GCM) or an RSA key (OAEP with SHA-256; PEM, the public half is
// enough). `uuid`: of the file system, which the wrapped key is bound to.
Result<std::string> WrapWithPassphrase(const DataKey& key, std::string_view uuid, std::string_view passphrase,
                                       uint32_t log_n = kScryptLogN);
Result<std::string> WrapWithRsa(const DataKey& key, std::string_view uuid, std::string_view pem);

// What the wrapped form asks for: "passphrase" or "rsa key"; kCorrupt if it is none.
Result<std::string> WrappedWith(std::string_view wrapped);
// `secret`: the passphrase, or the private RSA key as PEM. kAccessDenied: it is the wrong one. kCorrupt: the
// wrapped form is damaged. kInvalid: not a private RSA key.
Result<DataKey> Unwrap(std::string_view wrapped, std::string_view uuid, std::string_view secret);

}  // namespace curvefs::object
