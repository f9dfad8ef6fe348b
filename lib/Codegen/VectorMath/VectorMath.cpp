//===- VectorMath.cpp - Which expansion an op gets ------------------------===//

#include "limosa/Codegen/VectorMath.h"
#include "MathEmitter.h"
#include "limosa/Runtime/KernelABI.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include <cstddef>
#include <limits>
#include <optional>

using namespace mlir;

namespace limosa {

/// Lanes are computed through this with a pointer to the math functions.
/// `Y` is X again for functions of one argument.
static Value callMath(OpBuilder &B, Location Loc, Value Table,
                      LimosaMathFunction Function, Value X, Value Y) {
  auto Pointer = LLVM::LLVMPointerType::get(B.getContext());
  Value Slot = LLVM::GEPOp::create(B, Loc, Pointer, Pointer, Table,
                                   LLVM::GEPArg(Function));
  Value Callee = LLVM::LoadOp::create(B, Loc, Pointer, Slot);
  auto Type = LLVM::LLVMFunctionType::get(B.getF64Type(),
                                          {B.getF64Type(), B.getF64Type()});
  return LLVM::CallOp::create(B, Loc, Type, ValueRange{Callee, X, Y})
      .getResult();
}

/// The math function table of the kernel that holds `Op`; null elsewhere.
static Value mathTable(OpBuilder &B, Operation *Op) {
  auto Kernel = Op->getParentOfType<LLVM::LLVMFuncOp>();
  if (!Kernel || Kernel.getNumArguments() == 0 ||
      !isa<LLVM::LLVMPointerType>(Kernel.getArgument(0).getType()))
    return {};
  auto Pointer = LLVM::LLVMPointerType::get(B.getContext());
  Location Loc = Op->getLoc();
  Value Field = LLVM::GEPOp::create(
      B, Loc, Pointer, B.getI8Type(), Kernel.getArgument(0),
      LLVM::GEPArg(static_cast<int32_t>(offsetof(LimosaKernelContext, math))));
  return LLVM::LoadOp::create(B, Loc, Pointer, Field);
}

/// f64: one call per lane.
static Value expandWide(OpBuilder &B, Operation *Op,
                        LimosaMathFunction Function) {
  Location Loc = Op->getLoc();
  Value Table = mathTable(B, Op);
  if (!Table)
    return {};
  Value X = Op->getOperand(0);
  Value Y = Op->getOperand(Op->getNumOperands() - 1);
  auto Type = dyn_cast<VectorType>(X.getType());
  if (!Type)
    return callMath(B, Loc, Table, Function, X, Y);
  auto Flat = VectorType::get({Type.getNumElements()}, B.getF64Type());
  X = vector::ShapeCastOp::create(B, Loc, Flat, X);
  Y = vector::ShapeCastOp::create(B, Loc, Flat, Y);
  SmallVector<Value> Lanes;
  for (int64_t I = 0; I < Type.getNumElements(); ++I)
    Lanes.push_back(callMath(B, Loc, Table, Function,
                             vector::ExtractOp::create(B, Loc, X, I),
                             vector::ExtractOp::create(B, Loc, Y, I)));
  Value Result = vector::FromElementsOp::create(B, Loc, Flat, Lanes);
  return vector::ShapeCastOp::create(B, Loc, Type, Result);
}

/// Powers that are common and cheaper by other means; null for the rest.
static Value expandConstantPower(MathEmitter &M, Value X, Value Y) {
  FloatAttr Scalar;
  DenseElementsAttr Splat;
  if (matchPattern(Y, m_Constant(&Splat)) && Splat.isSplat())
    Scalar = Splat.getSplatValue<FloatAttr>();
  else if (!matchPattern(Y, m_Constant(&Scalar)))
    return {};
  double Power = Scalar.getValueAsDouble();
  if (Power == 1.0)
    return X;
  if (Power == 2.0)
    return M.mul(X, X);
  if (Power == 3.0)
    return M.mul(M.mul(X, X), X);
  if (Power == -1.0)
    return M.div(M.f32(1.0f), X);
  if (Power == 0.5 || Power == -0.5) {
    // Unlike sqrt, pow(-0, 0.5) is +0 and pow(-inf, 0.5) is +inf.
    constexpr float Infinity = std::numeric_limits<float>::infinity();
    Value IsLow =
        M.compare(MathEmitter::FloatPredicate::OEQ, X, M.f32(-Infinity));
    Value Root = M.sqrt(M.add(X, M.f32(0.0f)));
    Root = M.select(IsLow, M.f32(Infinity), Root);
    return Power > 0 ? Root : M.div(M.f32(1.0f), Root);
  }
  return {};
}

namespace {

/// One pattern for all functions: narrow types go through f32, f32 through an
/// expansion, f64 through the context.
template <typename OpT> struct ExpandMath : OpRewritePattern<OpT> {
  using Expansion = Value (*)(MathEmitter &, OpT);
  ExpandMath(MLIRContext *Context, Expansion Expand,
             std::optional<LimosaMathFunction> Wide, bool Avx512)
      : OpRewritePattern<OpT>(Context), Expand(Expand), Wide(Wide),
        Avx512(Avx512) {}

  LogicalResult matchAndRewrite(OpT Op,
                                PatternRewriter &Rewriter) const override {
    Location Loc = Op.getLoc();
    Type Element = getElementTypeOrSelf(Op.getType());
    MathEmitter M(Rewriter, Loc, Op->getOperand(0), Avx512);
    Value Result;
    if (Element.isF32()) {
      Result = Expand(M, Op);
    } else if (Element.isF64()) {
      Result = Wide ? expandWide(Rewriter, Op, *Wide) : Expand(M, Op);
    } else if (Element.isF16() || Element.isBF16()) {
      SmallVector<Value> Operands;
      for (Value Operand : Op->getOperands())
        Operands.push_back(M.extend(M.f32(), Operand));
      Result = M.truncate(Op.getType(),
                          OpT::create(Rewriter, Loc, M.f32(), Operands));
    }
    if (!Result)
      return failure();
    Rewriter.replaceOp(Op, Result);
    return success();
  }

  Expansion Expand;
  std::optional<LimosaMathFunction> Wide;
  bool Avx512;
};

/// Quotients that need no division.
struct ExpandLargeDivisor : OpRewritePattern<arith::DivFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::DivFOp Op,
                                PatternRewriter &Rewriter) const override {
    MathEmitter M(Rewriter, Op.getLoc(), Op.getLhs(), /*Avx512=*/true);
    if (!Op->hasAttr(LargeDivisorAttrName) || !M.hasScale())
      return failure();
    Rewriter.replaceOp(Op, M.divByLarge(Op.getLhs(), Op.getRhs()));
    return success();
  }
};

} // namespace

void populateVectorMathPatterns(RewritePatternSet &Patterns, bool Avx512) {
  MLIRContext *Context = Patterns.getContext();
  auto Add = [&]<typename OpT>(Value (*Expand)(MathEmitter &, OpT),
                               std::optional<LimosaMathFunction> Wide) {
    Patterns.add<ExpandMath<OpT>>(Context, Expand, Wide, Avx512);
  };
  Add(
      +[](MathEmitter &M, math::ExpOp Op) {
        return emitExp(M, Op.getOperand());
      },
      LIMOSA_MATH_EXP);
  Add(
      +[](MathEmitter &M, math::LogOp Op) {
        return emitLog(M, Op.getOperand());
      },
      LIMOSA_MATH_LOG);
  Add(
      +[](MathEmitter &M, math::SinOp Op) {
        return emitSin(M, Op.getOperand());
      },
      LIMOSA_MATH_SIN);
  Add(
      +[](MathEmitter &M, math::CosOp Op) {
        return emitCos(M, Op.getOperand());
      },
      LIMOSA_MATH_COS);
  Add(
      +[](MathEmitter &M, math::TanhOp Op) {
        return emitTanh(M, Op.getOperand());
      },
      LIMOSA_MATH_TANH);
  Add(
      +[](MathEmitter &M, math::ErfOp Op) {
        return emitErf(M, Op.getOperand());
      },
      LIMOSA_MATH_ERF);
  Add(
      +[](MathEmitter &M, math::PowFOp Op) {
        Value Cheap = expandConstantPower(M, Op.getLhs(), Op.getRhs());
        return Cheap ? Cheap : emitPow(M, Op.getLhs(), Op.getRhs());
      },
      LIMOSA_MATH_POW);
  Add(
      +[](MathEmitter &M, arith::RemFOp Op) {
        return emitRemainder(M, Op.getLhs(), Op.getRhs());
      },
      LIMOSA_MATH_FMOD);
  Add(
      +[](MathEmitter &M, math::RsqrtOp Op) {
        Value X = Op.getOperand();
        Value One = getElementTypeOrSelf(X.getType()).isF64() ? M.f64(1.0)
                                                              : M.f32(1.0f);
        return M.div(One, M.sqrt(X));
      },
      std::nullopt);
  if (Avx512)
    Patterns.add<ExpandLargeDivisor>(Context);
  populateNarrowFloatPatterns(Patterns);
}

} // namespace limosa
