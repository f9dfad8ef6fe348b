//===- TargetInfo.h - What generated code may assume of the CPU -*- C++ -*-===//
//
// A target is an ISA level plus extras: "avx2" (x86-64-v3), "avx512"
// (x86-64-v4), "avx2+vnni", "avx512+vnni", "avx512+vnni+bf16",
// "avx512+vnni+bf16+amx". Everything that shapes code comes from this text,
// never from the machine that compiles, so that the same options give the same
// bytes anywhere.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_TARGETINFO_H
#define LIMOSA_CODEGEN_TARGETINFO_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <string>

namespace limosa {

struct TargetInfo {
  std::string Isa;      ///< Canonical text, e.g. "avx512+vnni+bf16".
  std::string Triple;   ///< LLVM target triple.
  std::string Cpu;      ///< LLVM -mcpu: the baseline instruction set.
  std::string TuneCpu;  ///< LLVM -mtune: whose latencies to schedule for.
  std::string Features; ///< LLVM -mattr: extras over the baseline.
  unsigned VectorBits = 256;
  unsigned VectorRegisters = 16;
  bool HasAvx512 = false;
  bool HasVnni = false;        ///< vpdpbusd: u8 x i8 products summed in i32.
  bool HasBf16 = false;        ///< vdpbf16ps: bf16 products summed in f32.
  bool HasAmx = false;         ///< tdpbf16ps: the same for tiles of 16 x 16.
  uint64_t L1Bytes = 32 << 10; ///< Data cache a core has at least.
  uint64_t L2Bytes = 1 << 20;  ///< Second-level cache a core has at least.

  /// Lanes of a full vector of elements `Bits` wide (bools count as 8).
  unsigned lanes(unsigned Bits) const {
    return VectorBits / (Bits < 8 ? 8 : Bits);
  }
};

/// Reads an ISA text; "auto" or "" is `hostIsa()`. Fails with the list of what
/// is known.
llvm::Expected<TargetInfo> getTargetInfo(llvm::StringRef Isa);

/// The best ISA text this machine can run; fails below AVX2, FMA and F16C.
llvm::Expected<std::string> hostIsa();

} // namespace limosa

#endif // LIMOSA_CODEGEN_TARGETINFO_H
