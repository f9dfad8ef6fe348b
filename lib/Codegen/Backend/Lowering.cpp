//===- Lowering.cpp - Kernels to the LLVM dialect -------------------------===//

#include "Stages.h"
#include "limosa/Codegen/VectorMath.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Conversion/VectorToSCF/VectorToSCF.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Index/IR/IndexDialect.h"
#include "mlir/Dialect/MemRef/Transforms/Transforms.h"
#include "mlir/Dialect/Vector/Transforms/LoweringPatterns.h"
#include "mlir/Dialect/Vector/Transforms/VectorRewritePatterns.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/DialectConversion.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace limosa {

static constexpr llvm::StringLiteral ExactAttr = "limosa.exact";

Operation *markExact(Operation *Op) {
  Op->setDiscardableAttr(ExactAttr, UnitAttr::get(Op->getContext()));
  return Op;
}

/// Multiplications and additions may fuse unless the op says otherwise. Runs
/// before the math expansions, which need their arithmetic as written.
static void allowContraction(ModuleOp Part) {
  auto Contract = arith::FastMathFlagsAttr::get(Part.getContext(),
                                                arith::FastMathFlags::contract);
  Part.walk([&](Operation *Op) {
    if (!isa<arith::AddFOp, arith::SubFOp, arith::MulFOp>(Op))
      return;
    if (Op->removeDiscardableAttr(ExactAttr))
      return;
    auto Flags = cast<arith::ArithFastMathInterface>(Op);
    if (Flags.getFastMathFlagsAttr().getValue() == arith::FastMathFlags::none)
      Op->setAttr(Flags.getFastMathAttrName(), Contract);
  });
}

namespace {

/// A mask from a bound. Bounds are clamped to the number of lanes first, so
/// that lanes can be compared as i32 (half the registers of MLIR's own i64
/// lowering) whatever the size of the bound.
struct LowerCreateMask : OpRewritePattern<vector::CreateMaskOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(vector::CreateMaskOp Op,
                                PatternRewriter &Rewriter) const override {
    VectorType Type = Op.getType();
    if (Type.getRank() != 1 || Type.isScalable())
      return failure();
    Location Loc = Op.getLoc();
    int64_t Lanes = Type.getDimSize(0);
    Value Zero = arith::ConstantIndexOp::create(Rewriter, Loc, 0);
    Value Max = arith::ConstantIndexOp::create(Rewriter, Loc, Lanes);
    Value Bound = arith::MaxSIOp::create(Rewriter, Loc, Op.getOperand(0), Zero);
    Bound = arith::MinSIOp::create(Rewriter, Loc, Bound, Max);
    Value Narrow =
        arith::IndexCastOp::create(Rewriter, Loc, Rewriter.getI32Type(), Bound);
    auto IndexType = VectorType::get({Lanes}, Rewriter.getI32Type());
    Value Splat = vector::BroadcastOp::create(Rewriter, Loc, IndexType, Narrow);
    SmallVector<int32_t> Steps(Lanes);
    for (int64_t I = 0; I < Lanes; ++I)
      Steps[I] = static_cast<int32_t>(I);
    Value Step = arith::ConstantOp::create(
        Rewriter, Loc, DenseElementsAttr::get(IndexType, ArrayRef(Steps)));
    Rewriter.replaceOpWithNewOp<arith::CmpIOp>(Op, arith::CmpIPredicate::slt,
                                               Step, Splat);
    return success();
  }
};

/// Expands math on and conversions between floats that the machine lacks.
struct ExpandMathPass : PassWrapper<ExpandMathPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ExpandMathPass)
  explicit ExpandMathPass(bool Avx512) : Avx512(Avx512) {}
  void runOnOperation() override {
    allowContraction(getOperation());
    RewritePatternSet Patterns(&getContext());
    populateVectorMathPatterns(Patterns, Avx512);
    arith::populateCeilFloorDivExpandOpsPatterns(Patterns);
    if (failed(applyPatternsGreedily(getOperation(), std::move(Patterns))))
      signalPassFailure();
  }
  bool Avx512;
};

/// Takes vector ops down to those with a counterpart in LLVM.
struct LowerVectorsPass
    : PassWrapper<LowerVectorsPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerVectorsPass)
  void runOnOperation() override {
    {
      RewritePatternSet Patterns(&getContext());
      vector::populateVectorMultiReductionLoweringPatterns(
          Patterns, vector::VectorMultiReductionLowering::InnerParallel);
      vector::populateVectorTransferPermutationMapLoweringPatterns(Patterns);
      VectorTransferToSCFOptions Unrolled;
      Unrolled.enableFullUnroll();
      populateVectorToSCFConversionPatterns(Patterns, Unrolled);
      if (failed(applyPatternsGreedily(getOperation(), std::move(Patterns))))
        return signalPassFailure();
    }
    RewritePatternSet Patterns(&getContext());
    vector::populateVectorToVectorCanonicalizationPatterns(Patterns);
    vector::populateVectorBitCastLoweringPatterns(Patterns);
    vector::populateVectorBroadcastLoweringPatterns(Patterns);
    vector::populateVectorContractLoweringPatterns(
        Patterns, vector::VectorContractLowering::OuterProduct);
    vector::populateVectorOuterProductLoweringPatterns(Patterns);
    vector::populateVectorMaskOpLoweringPatterns(Patterns);
    vector::populateVectorShapeCastLoweringPatterns(Patterns);
    vector::populateVectorInterleaveLoweringPatterns(Patterns);
    vector::populateVectorTransposeLoweringPatterns(
        Patterns, vector::VectorTransposeLowering::Shuffle1D);
    vector::populateVectorTransferLoweringPatterns(Patterns,
                                                   /*maxTransferRank=*/1);
    vector::populateVectorMaskMaterializationPatterns(
        Patterns, /*force32BitVectorIndices=*/false);
    vector::populateVectorInsertExtractStridedSliceTransforms(Patterns);
    vector::populateVectorStepLoweringPatterns(Patterns);
    vector::populateVectorRankReducingFMAPattern(Patterns);
    vector::populateVectorGatherLoweringPatterns(Patterns);
    vector::populateVectorScanLoweringPatterns(Patterns);
    Patterns.add<LowerCreateMask>(&getContext(), /*benefit=*/10);
    if (failed(applyPatternsGreedily(getOperation(), std::move(Patterns))))
      signalPassFailure();
  }
};

/// Loops to branches, then everything to the LLVM dialect in one conversion.
struct ConvertToLLVMDialectPass
    : PassWrapper<ConvertToLLVMDialectPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ConvertToLLVMDialectPass)

  /// Makes descriptors for memrefs over raw pointers. Rank 1 and identity
  /// layout need only the pointer; the size stays poison.
  static LogicalResult wrapPointers(ModuleOp Part,
                                    const LLVMTypeConverter &Converter) {
    WalkResult Result = Part.walk([&](UnrealizedConversionCastOp Cast) {
      if (Cast.getNumOperands() != 1 || Cast.getNumResults() != 1 ||
          !isa<LLVM::LLVMPointerType>(Cast.getOperand(0).getType()))
        return WalkResult::advance();
      auto Type = dyn_cast<MemRefType>(Cast.getResult(0).getType());
      if (!Type)
        return WalkResult::advance();
      if (Type.getRank() > 1 || !Type.getLayout().isIdentity()) {
        Cast.emitError("a pointer can only be cast to a memref of rank 1 with "
                       "identity layout, not to ")
            << Type;
        return WalkResult::interrupt();
      }
      OpBuilder Builder(Cast);
      Location Loc = Cast.getLoc();
      auto Descriptor =
          MemRefDescriptor::poison(Builder, Loc, Converter.convertType(Type));
      Descriptor.setAllocatedPtr(Builder, Loc, Cast.getOperand(0));
      Descriptor.setAlignedPtr(Builder, Loc, Cast.getOperand(0));
      Descriptor.setConstantOffset(Builder, Loc, 0);
      if (Type.getRank() == 1)
        Descriptor.setConstantStride(Builder, Loc, 0, 1);
      Cast.getInputsMutable().assign(Value(Descriptor));
      return WalkResult::advance();
    });
    return failure(Result.wasInterrupted());
  }

  void runOnOperation() override {
    MLIRContext *Context = &getContext();
    ModuleOp Part = getOperation();
    {
      RewritePatternSet Patterns(Context);
      memref::populateExpandStridedMetadataPatterns(Patterns);
      memref::populateExpandOpsPatterns(Patterns);
      if (failed(applyPatternsGreedily(Part, std::move(Patterns))))
        return signalPassFailure();
    }
    {
      RewritePatternSet Patterns(Context);
      populateSCFToControlFlowConversionPatterns(Patterns);
      ConversionTarget Target(*Context);
      Target.addIllegalDialect<scf::SCFDialect>();
      Target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
      if (failed(applyPartialConversion(Part, Target, std::move(Patterns))))
        return signalPassFailure();
    }
    LLVMTypeConverter Converter(Context);
    if (failed(wrapPointers(Part, Converter)))
      return signalPassFailure();
    RewritePatternSet Patterns(Context);
    arith::populateArithToLLVMConversionPatterns(Converter, Patterns);
    cf::populateControlFlowToLLVMConversionPatterns(Converter, Patterns);
    populateFinalizeMemRefToLLVMConversionPatterns(Converter, Patterns);
    populateMathToLLVMConversionPatterns(Converter, Patterns);
    populateVectorToLLVMConversionPatterns(Converter, Patterns);
    index::populateIndexToLLVMConversionPatterns(Converter, Patterns);
    ub::populateUBToLLVMConversionPatterns(Converter, Patterns);
    LLVMConversionTarget Target(*Context);
    Target.addLegalOp<ModuleOp, UnrealizedConversionCastOp>();
    Target.addIllegalDialect<arith::ArithDialect, cf::ControlFlowDialect,
                             memref::MemRefDialect, math::MathDialect,
                             vector::VectorDialect, index::IndexDialect,
                             ub::UBDialect>();
    if (failed(applyPartialConversion(Part, Target, std::move(Patterns))))
      signalPassFailure();
  }
};

} // namespace

LogicalResult lowerToLLVMDialect(ModuleOp Part, const TargetInfo &Target) {
  PassManager Passes(Part.getContext(), ModuleOp::getOperationName(),
                     PassManager::Nesting::Explicit);
  Passes.enableVerifier(false);
  Passes.addPass(std::make_unique<ExpandMathPass>(Target.HasAvx512));
  Passes.addPass(createCSEPass());
  Passes.addPass(createLoopInvariantCodeMotionPass());
  Passes.addPass(std::make_unique<LowerVectorsPass>());
  Passes.addPass(std::make_unique<ConvertToLLVMDialectPass>());
  Passes.addPass(createReconcileUnrealizedCastsPass());
  return Passes.run(Part);
}

} // namespace limosa
