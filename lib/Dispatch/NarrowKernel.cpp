//===- NarrowKernel.cpp - bf16 at the edges of kernels -------------------===//

#include "NarrowKernel.h"

#include "PrecisionFacts.h"

#include "limosa/Codegen/Codegen.h"
#include "limosa/IR/Types.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include <bit>
#include <cstring>

using namespace mlir;

namespace limosa::dispatch {
namespace {

class KernelRewriter {
public:
  KernelRewriter(func::FuncOp Kernel, const Decision &D)
      : Kernel(Kernel), D(D), B(Kernel.getContext()) {}

  /// `Products`: positions in the body of those that become bf16.
  void run(const llvm::DenseSet<unsigned> &Products) {
    Block &Body = Kernel.getBody().front();
    SmallVector<Operation *> Ops;
    for (auto [I, Op] : llvm::enumerate(Body))
      if (Products.contains(I))
        Ops.push_back(&Op);
    B.setInsertionPointToStart(&Body);
    for (BlockArgument Arg : Body.getArguments())
      if (D.Arguments[Arg.getArgNumber()]) {
        Type Wide = Arg.getType();
        Arg.setType(asBf16(Arg));
        auto Widened = ConvertOp::create(B, Arg.getLoc(), Wide, Arg);
        Arg.replaceAllUsesExcept(Widened, Widened);
      }
    for (Operation *Op : Ops) {
      B.setInsertionPoint(Op);
      for (OpOperand &Use : Op->getOpOperands())
        Use.set(narrowed(Use.get()));
    }
    Operation *Return = Body.getTerminator();
    B.setInsertionPoint(Return);
    for (OpOperand &Use : Return->getOpOperands())
      if (D.Results[Use.getOperandNumber()])
        Use.set(narrowed(Use.get()));
    for (Operation &Op : llvm::make_early_inc_range(llvm::reverse(Body)))
      if (isOpTriviallyDead(&Op))
        Op.erase();
    Kernel.setFunctionType(
        B.getFunctionType(Body.getArgumentTypes(), Return->getOperandTypes()));
    Kernel->setAttr(codegen::FlushAttrName, B.getUnitAttr());
  }

private:
  static bool isWidened(Value V) {
    auto Convert = V.getDefiningOp<ConvertOp>();
    return Convert && getElementTypeOrSelf(Convert.getOperand()).isBF16();
  }

  /// The value in bf16: as it was before it was widened, if that is all that
  /// happened to it but moves.
  Value narrowed(Value V) {
    Operation *Def = V.getDefiningOp();
    if (isWidened(V))
      return Def->getOperand(0);
    if (!isWidened(withoutMoves(V)))
      return ConvertOp::create(B, V.getLoc(), asBf16(V), V);
    Value Source = narrowed(Def->getOperand(0));
    Operation *Copy = B.clone(*Def);
    Copy->setOperand(0, Source);
    Copy->getResult(0).setType(asBf16(V));
    return Copy->getResult(0);
  }

  func::FuncOp Kernel;
  const Decision &D;
  OpBuilder B;
};

/// f32 to bf16, to nearest even.
uint16_t roundToBf16(float F) {
  uint32_t Bits = std::bit_cast<uint32_t>(F);
  if ((Bits & 0x7fffffff) > 0x7f800000)
    return uint16_t(Bits >> 16 | 0x40);
  return uint16_t((Bits + 0x7fff + (Bits >> 16 & 1)) >> 16);
}

} // namespace

Type asBf16(Value V) {
  return withElementType(cast<RankedTensorType>(V.getType()),
                         BFloat16Type::get(V.getContext()));
}

void narrowKernel(func::FuncOp Kernel, const Decision &D,
                  const llvm::DenseSet<unsigned> &Products) {
  KernelRewriter(Kernel, D).run(Products);
}

ElementsAttr narrowElements(ConstantOp C) {
  auto Ty = cast<RankedTensorType>(C.getType());
  ArrayRef<char> Raw;
  if (auto Resource = dyn_cast<DenseResourceElementsAttr>(C.getValue())) {
    if (AsmResourceBlob *Blob = Resource.getRawHandle().getBlob())
      Raw = Blob->getData();
  } else if (auto Dense = dyn_cast<DenseElementsAttr>(C.getValue());
             Dense && !Dense.isSplat()) {
    Raw = Dense.getRawData();
  }
  size_t Count = Ty.getNumElements();
  if (Raw.size() < Count * sizeof(float))
    return nullptr;
  std::vector<char> Out(Count * sizeof(uint16_t));
  for (size_t I = 0; I < Count; ++I) {
    float F;
    std::memcpy(&F, Raw.data() + I * sizeof(F), sizeof(F));
    uint16_t Narrow = roundToBf16(F);
    std::memcpy(Out.data() + I * sizeof(Narrow), &Narrow, sizeof(Narrow));
  }
  auto Plain =
      RankedTensorType::get(Ty.getShape(), BFloat16Type::get(C.getContext()));
  return DenseResourceElementsAttr::get(
      Plain, "bf16", HeapAsmResourceBlob::allocateAndCopyWithAlign(Out, 64));
}

} // namespace limosa::dispatch
