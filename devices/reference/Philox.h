//===- Philox.h - Philox4x32-10 ---------------------------------*- C++ -*-===//
//
// The counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel
// Random Numbers: As Easy as 1, 2, 3" (SC 2011).
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_REFERENCE_PHILOX_H
#define LIMOSA_REFERENCE_PHILOX_H

#include <array>
#include <cstdint>

namespace limosa::reference {

inline std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> Counter,
                                          std::array<uint32_t, 2> Key) {
  for (int Round = 0; Round < 10; ++Round) {
    uint64_t P0 = uint64_t(0xD2511F53) * Counter[0];
    uint64_t P1 = uint64_t(0xCD9E8D57) * Counter[2];
    Counter = {uint32_t(P1 >> 32) ^ Counter[1] ^ Key[0], uint32_t(P1),
               uint32_t(P0 >> 32) ^ Counter[3] ^ Key[1], uint32_t(P0)};
    Key[0] += 0x9E3779B9;
    Key[1] += 0xBB67AE85;
  }
  return Counter;
}

} // namespace limosa::reference

#endif // LIMOSA_REFERENCE_PHILOX_H
