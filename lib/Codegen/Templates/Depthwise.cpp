//===- Depthwise.cpp - Depthwise convolutions and those in narrow groups --===//
//
// Column blocks x images x planes x blocks of lines is the grid, the last
// fastest. See DepthwisePlan.h.
//
//===----------------------------------------------------------------------===//

#include "DepthwiseLines.h"
#include "Products.h"

using namespace mlir;

namespace limosa::codegen {

namespace {

class DepthwiseEmitter : DepthwiseLines {
public:
  DepthwiseEmitter(KernelBuilder &KB, const KernelAnalysis &Kernel, ConvOp Op,
                   const DepthwisePlan &P)
      : DepthwiseLines(KB, Kernel, Op, P,
                       KB.input(P.View.Argument.getArgNumber())),
        P(P) {}

  void emit() {
    KB.setGrid(DimExpr(P.columnBlocks()) * P.Batch * P.Axes[Z].Out *
               P.lineBlocks());
    KB.result().Flops = DimExpr(2 * depth() * P.Channels) * P.Batch *
                        P.Axes[Z].Out * P.Axes[Y].Out * P.Axes[X].Out;
    Value LineBlocks = KB.divisor(P.lineBlocks());
    Value Planes = KB.divisor(P.Axes[Z].Out);
    Value Images = KB.divisor(P.Batch);
    KB.tileLoop([&](Value Tile) {
      Value Lines = M.remU(Tile, LineBlocks);
      Value Rest = M.divU(Tile, LineBlocks);
      Plane = M.remU(Rest, Planes);
      Rest = M.divU(Rest, Planes);
      Image = M.remU(Rest, Images);
      emitTile(Lines, M.divU(Rest, Images));
    });
  }

private:
  void emitTile(Value LineBlock, Value ColumnBlock) {
    Value First = M.mul(LineBlock, KB.constant(P.BlockLines));
    Value End =
        M.min(M.add(First, KB.constant(P.BlockLines)), KB.dim(P.Axes[Y].Out));
    emitLines(First, End, ColumnBlock, [&](Value Vector) {
      Value At = mulAdd(KB.dim(P.View.Offset), Image, P.View.Dims[0].Stride);
      return M.add(At, M.mul(Vector, KB.constant(lanes())));
    });
  }

  const DepthwisePlan &P;
};

} // namespace

static std::optional<DepthwisePlan> planKernel(const KernelAnalysis &Kernel,
                                               const TargetOptions &Options) {
  auto Op = Kernel.onlyAnchor<ConvOp>();
  auto Input = Op ? getStridedView(Op.getInput()) : std::nullopt;
  if (!Input)
    return std::nullopt;
  return planDepthwise(Op, *Input, Kernel, Options);
}

std::optional<int> matchDepthwise(const KernelAnalysis &Kernel,
                                  const TargetOptions &Options) {
  if (!planKernel(Kernel, Options))
    return std::nullopt;
  return 110;
}

llvm::Error emitDepthwise(KernelBuilder &KB, const KernelAnalysis &Kernel) {
  std::optional<DepthwisePlan> P = planKernel(Kernel, KB.options());
  DepthwiseEmitter(KB, Kernel, Kernel.onlyAnchor<ConvOp>(), *P).emit();
  return llvm::Error::success();
}

} // namespace limosa::codegen
