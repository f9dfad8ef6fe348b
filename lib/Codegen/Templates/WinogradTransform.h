//===- WinogradTransform.h - B^T d B and A^T m A on vectors -----*- C++ -*-===//

#ifndef LIMOSA_CODEGEN_TEMPLATES_WINOGRADTRANSFORM_H
#define LIMOSA_CODEGEN_TEMPLATES_WINOGRADTRANSFORM_H

#include "limosa/Codegen/KernelBuilder.h"
#include "limosa/Support/WinogradLayout.h"

namespace limosa::codegen {

/// Emits the transforms of F(4, 3) on vectors of f32, a channel in each lane.
class WinogradTransform {
public:
  using Value = mlir::Value;
  using Inputs = std::array<Value, Winograd::Span>;
  using Outputs = std::array<Value, Winograd::Outputs>;

  WinogradTransform(KernelBuilder &KB, unsigned Lanes);

  /// B^T d.
  Inputs input(const Inputs &D);
  /// A^T m.
  Outputs output(const Inputs &M);

private:
  Value constant(double V);
  Value add(Value L, Value R);
  Value subtract(Value L, Value R);
  Value multiplyAdd(double Factor, Value V, Value Sum);

  KernelBuilder &KB;
  mlir::VectorType Ty;
};

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_TEMPLATES_WINOGRADTRANSFORM_H
