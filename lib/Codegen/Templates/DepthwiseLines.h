//===- DepthwiseLines.h - Output lines of a depthwise convolution ---------===//

#ifndef LIMOSA_CODEGEN_TEMPLATES_DEPTHWISELINES_H
#define LIMOSA_CODEGEN_TEMPLATES_DEPTHWISELINES_H

#include "DepthwisePlan.h"
#include "ProductEmitter.h"

namespace limosa::codegen {

class DepthwiseLines : protected ProductEmitter {
protected:
  static constexpr unsigned Z = DepthwisePlan::Z, Y = DepthwisePlan::Y,
                            X = DepthwisePlan::X;

  /// Asks for packed weights. `In` is where the plan's view of the input is.
  DepthwiseLines(KernelBuilder &KB, const KernelAnalysis &Kernel, ConvOp Op,
                 const DepthwisePlan &P, const TensorView &In);

  /// Output lines [First, End) of `Plane` and `Image` for a block of columns.
  /// `Origin` says where in the input the image's channels from a vector on
  /// are.
  void emitLines(Value First, Value End, Value ColumnBlock,
                 llvm::function_ref<Value(Value Vector)> Origin);

  /// Products of an output element.
  int64_t depth() const { return Depth; }
  const TensorView &input() const { return In; }

  Value Plane, Image;

private:
  void packWeights();
  void prepareSpread();
  Value spread(Value V);
  void emitLine(Value OutLine);
  void emitKnownLine(const DepthwisePlan::Ends &Ends);
  std::pair<Value, Value> clip(const DepthwisePlan::Axis &A, Value I);
  Value begin(const DepthwisePlan::Axis &A, Value I);
  using LineBody = llvm::function_ref<llvm::SmallVector<Value>(
      Value InputLine, Value FilterLine, mlir::ValueRange Acc)>;
  llvm::SmallVector<Value> forWindowLines(llvm::ArrayRef<Value> Init,
                                          LineBody Body);
  Value loadInput(Value At);
  Value loadWeight(Value Filter, Value K);
  llvm::SmallVector<Value> zeros(unsigned Count);
  Value multiplyAdd(Value L, Value R, Value Acc);
  void emitInner(Value First, unsigned Count,
                 std::optional<int64_t> KnownFirst = std::nullopt);
  bool isInside(int64_t Column) const;
  void emitEdge(Value Pixel);
  Coords coordsAt(Value Pixel);

  ConvOp Op;
  const DepthwisePlan &P;
  TensorView In, Weights;
  int64_t Depth = 1;
  Value FirstLanes;

  // Of the place being emitted.
  Value Line, Channel, FilterAt, InputAt;
  Value Member; ///< of a group: which input channel is multiplied
  Lanes Lane;
};

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_TEMPLATES_DEPTHWISELINES_H
