//===- Arena.h - Memory from lifetimes --------------------------*- C++ -*-===//

#ifndef LIMOSA_LIB_PLAN_ARENA_H
#define LIMOSA_LIB_PLAN_ARENA_H

#include "limosa/Schema/program_generated.h"
#include "limosa/Support/DimExpr.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

namespace limosa::plan {

/// Memory that one or several buffers lie in. Times count the steps of the
/// entry; a storage is in use from Begin to End, both included.
struct Storage {
  fb::BufferKind Kind = fb::BufferKind::Temp;
  uint32_t Source = 0; ///< Constant, Input, Output, State
  uint32_t Device = 0;
  DimExpr Bytes;
  unsigned Begin = 0, End = 0;
  unsigned Depth = 0; ///< nesting of the block it belongs to
  uint32_t Owner = 0; ///< Dynamic: the buffer that is allocated
  DimExpr Offset;     ///< Temp: set by assignArena
};

/// Gives every Temp storage of `Device` its offset and returns the arena's
/// bytes. Storages whose lifetimes do not meet share slots; a new one takes the
/// slot that grows least, the one freed last among equals, since its memory is
/// still in the cache. Offsets are multiples of 64.
DimExpr assignArena(llvm::MutableArrayRef<Storage> Storages, uint32_t Device);

} // namespace limosa::plan

#endif // LIMOSA_LIB_PLAN_ARENA_H
