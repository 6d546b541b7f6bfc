// AES-256-GCM with a key that is used for one object only, so that a counter may be the nonce.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "object/coded/data_key.h"

namespace curvefs::object {

class Gcm {
 public:
  static constexpr size_t kTagBytes = 16;

  explicit Gcm(const DataKey& key) : key_(key) {}

  // Encrypts `plain` to `out`: as many bytes, and the tag. A number is used once with a key. `bound` is
  // authenticated, not encrypted.
  void Seal(uint64_t number, std::string_view bound, std::string_view plain, char* out) const;
  // Decrypts what Seal made (bytes and tag) to `out`. False if any of it was changed; then `out` is wiped.
  bool Open(uint64_t number, std::string_view bound, std::string_view sealed, char* out) const;

 private:
  DataKey key_;
};

}  // namespace curvefs::object
