//===- RandomOps.cpp - random_bits ----------------------------------------===//

#include "OpContext.h"
#include "Philox.h"

#include <algorithm>

using namespace limosa;
using namespace limosa::reference;

namespace {

Status runRandomBits(OpContext &C) {
  LIMOSA_TRY(C.expect(1, 1));
  const Tensor &Key = C.operand(0);
  if (Key.dtype() != DType::U64 || Key.dims() != Shape{2})
    return C.fail("the key is not a ui64 vector of two elements");
  Tensor Out;
  LIMOSA_TRY(C.makeResult(0, Out));
  if (Out.dtype() != DType::U32 && Out.dtype() != DType::U64)
    return C.fail("gives ui32 or ui64 only");
  const uint64_t *K = Key.as<uint64_t>();
  uint32_t *Words = Out.as<uint32_t>();
  int64_t Count = Out.bytes() / 4;
  // The 128-bit counter (key[1] << 64) + block, least significant word first.
  for (int64_t Block = 0; Block * 4 < Count; ++Block) {
    auto Four = philox4x32({uint32_t(Block), uint32_t(uint64_t(Block) >> 32),
                            uint32_t(K[1]), uint32_t(K[1] >> 32)},
                           {uint32_t(K[0]), uint32_t(K[0] >> 32)});
    std::copy_n(Four.begin(), std::min<int64_t>(4, Count - Block * 4),
                Words + Block * 4);
  }
  return C.setResult(0, std::move(Out));
}

constexpr OpEntry Ops[] = {{"random_bits", runRandomBits}};

} // namespace

std::span<const OpEntry> limosa::reference::randomOps() { return Ops; }
