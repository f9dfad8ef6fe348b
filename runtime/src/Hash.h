//===- Hash.h - XXH3, inlined -----------------------------------*- C++ -*-===//
#ifndef LIMOSA_RUNTIME_SRC_HASH_H
#define LIMOSA_RUNTIME_SRC_HASH_H

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdint>
#include <span>

namespace limosa::runtime {

/// A running XXH3; 64 or 128 bits are taken at the end.
class Hasher {
public:
  Hasher() { XXH3_128bits_reset(&State); }
  void add(const void *Bytes, size_t Size) {
    XXH3_128bits_update(&State, Bytes, Size);
  }
  void add(std::span<const uint8_t> Bytes) { add(Bytes.data(), Bytes.size()); }
  uint64_t digest64() const { return XXH3_128bits_digest(&State).low64; }
  XXH128_hash_t digest128() const { return XXH3_128bits_digest(&State); }

private:
  XXH3_state_t State;
};

} // namespace limosa::runtime

#endif // LIMOSA_RUNTIME_SRC_HASH_H
