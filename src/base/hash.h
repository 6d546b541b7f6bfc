// XXH3-64, the checksum of everything we store except object data (that is CRC32C, base/crc32c.h).
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

namespace curvefs {

uint64_t Xxh3(std::string_view bytes);
uint64_t Xxh3(std::string_view bytes, uint64_t seed);

// The same value for bytes that come in pieces.
class Xxh3Stream {
 public:
  Xxh3Stream();
  void Update(std::string_view bytes);
  uint64_t Digest() const;  // of all bytes so far; more may follow

 private:
  struct State;
  struct Free {
    void operator()(State* state) const;
  };
  std::unique_ptr<State, Free> state_;
};

}  // namespace curvefs
