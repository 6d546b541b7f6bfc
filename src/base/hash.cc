#include "base/hash.h"

#define XXH_INLINE_ALL  // short inputs, on the hot path: the call would cost more than the hash
#include <xxhash.h>

namespace curvefs {

uint64_t Xxh3(std::string_view bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}
uint64_t Xxh3(std::string_view bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

struct Xxh3Stream::State : XXH3_state_t {};

Xxh3Stream::Xxh3Stream() : state_(new State) {
  XXH3_64bits_reset(state_.get());
}

void Xxh3Stream::Update(std::string_view bytes) {
  XXH3_64bits_update(state_.get(), bytes.data(), bytes.size());
}

uint64_t Xxh3Stream::Digest() const {
  return XXH3_64bits_digest(state_.get());
}

void Xxh3Stream::Free::operator()(State* state) const {
  delete state;
}

}  // namespace curvefs
