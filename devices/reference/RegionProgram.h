//===- RegionProgram.h - Regions over scalars, many lanes at once ---------===//
//
// The regions of reduce, scan, window, sort and scatter take and give rank-0
// tensors. Interpreting them value by value would be far too slow, so that a
// region of elementwise ops becomes a list of loops over lanes, each lane one
// application of the region. Any other region is interpreted lane by lane.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_REFERENCE_REGIONPROGRAM_H
#define LIMOSA_REFERENCE_REGIONPROGRAM_H

#include "Elementwise.h"
#include "OpContext.h"

namespace limosa::reference {

class RegionProgram {
public:
  static constexpr int64_t MaxLanes = 512;

  /// Prepares region `R` of `C`, whose arguments must be rank-0 tensors of
  /// `Args` and which must yield rank-0 tensors of `Results`. `WidenFloats`
  /// computes all floats in f64 where the region allows it.
  static Status compile(OpContext &C, unsigned R, std::vector<DType> Args,
                        std::vector<DType> Results, bool WidenFloats,
                        RegionProgram &Out);

  /// dtypes of the lanes: f64 for widened floats, else those of the region.
  DType argType(unsigned I) const { return Registers[ArgRegisters[I]].Type; }
  DType resultType(unsigned I) const {
    return Registers[ResultRegisters[I]].Type;
  }
  /// Room for MaxLanes elements, to be filled before each run.
  uint8_t *arg(unsigned I) { return memory(ArgRegisters[I]); }
  /// Valid after a run, until the next.
  const uint8_t *result(unsigned I) { return memory(ResultRegisters[I]); }
  Status run(int64_t Lanes);

  /// If result `I` is just op(arg `A`, arg `B`) in either order, the op's name;
  /// empty otherwise.
  std::string_view combinerOf(unsigned I, unsigned A, unsigned B) const;
  /// If result `I` is argument `A` itself.
  bool isArgument(unsigned I, unsigned A) const {
    return !Fallback && ResultRegisters[I] == ArgRegisters[A];
  }
  /// If the result is a lone compare of arguments `A` and `B`: its direction.
  std::string_view comparisonOf(unsigned A, unsigned B) const;

private:
  struct Register {
    DType Type;
    int64_t Offset; // into Memory
  };
  struct Step {
    std::string_view Op, Direction;
    ElementLoop Loop; // null: conversion
    uint32_t Operands[3];
    unsigned OperandCount;
    uint32_t Result;
  };

  Status build(bool WidenFloats, bool &Possible);
  Status addStep(OpContext &Inner, bool WidenFloats, bool &Possible);
  std::optional<uint32_t> find(uint32_t Value, bool WidenFloats);
  uint32_t addRegister(DType T);
  void fill(uint32_t Register, DType From, const uint8_t *Element);
  uint8_t *memory(uint32_t R) { return Memory.data() + Registers[R].Offset; }
  Status runFallback(int64_t Lanes);

  OpContext *C = nullptr;
  const limosa_region *Region = nullptr;
  std::vector<Register> Registers;
  std::vector<uint8_t> Memory;
  std::vector<uint32_t> ArgRegisters, ResultRegisters;
  std::unordered_map<uint32_t, uint32_t> RegisterOf; // by value
  std::vector<Step> Steps;
  bool Fallback = false;
};

} // namespace limosa::reference

#endif // LIMOSA_REFERENCE_REGIONPROGRAM_H
