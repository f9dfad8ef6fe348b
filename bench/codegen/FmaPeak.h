//===- FmaPeak.h - The machine's multiply-add peak --------------*- C++ -*-===//

#ifndef LIMOSA_BENCH_CODEGEN_FMAPEAK_H
#define LIMOSA_BENCH_CODEGEN_FMAPEAK_H

namespace limosa::bench {

/// f32 operations per second of a short loop of independent multiply-adds in
/// registers, one thread. The machine must have the ISA.
double fmaPeak256();
double fmaPeak512();

} // namespace limosa::bench

#endif // LIMOSA_BENCH_CODEGEN_FMAPEAK_H
