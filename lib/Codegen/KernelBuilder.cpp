//===- KernelBuilder.cpp - The frame of a generated kernel ----------------===//

#include "limosa/Codegen/KernelBuilder.h"
#include "limosa/Codegen/MicroKernel.h"
#include "limosa/Runtime/KernelABI.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;

limosa::Dims codegen::stridesOf(ArrayRef<DimExpr> Shape,
                                ArrayRef<int64_t> Order) {
  Dims Strides(Shape.size());
  DimExpr Step = 1;
  for (int64_t D : llvm::reverse(Order)) {
    Strides[D] = Step;
    Step = Step * Shape[D];
  }
  return Strides;
}

//===----------------------------------------------------------------------===//
// The function
//===----------------------------------------------------------------------===//

KernelBuilder::KernelBuilder(ModuleOp Module, func::FuncOp Kernel,
                             const TargetOptions &Options,
                             CompiledKernel &Result)
    : Module(Module), Kernel(Kernel), Options(Options), Result(Result),
      B(Module.getContext(), this), Loc(Kernel.getLoc()), Math(B, Loc) {
  B.setInsertionPointToEnd(Module.getBody());
  auto Ptr = LLVM::LLVMPointerType::get(B.getContext());
  auto FuncTy = LLVM::LLVMFunctionType::get(
      B.getI32Type(), {Ptr, Ptr, Ptr, B.getI64Type(), B.getI64Type()});
  Func = LLVM::LLVMFuncOp::create(B, Loc, Result.Symbol, FuncTy);
  Block *Entry = Func.addEntryBlock(B);
  B.setInsertionPointToStart(Entry);
  auto Index = B.getIndexType();
  TileBegin = arith::IndexCastOp::create(B, Loc, Index, Entry->getArgument(3));
  TileEnd = arith::IndexCastOp::create(B, Loc, Index, Entry->getArgument(4));
  EntryEnd = arith::ConstantOp::create(B, Loc, B.getI32IntegerAttr(0));
  Inputs.resize(Kernel.getNumArguments());
  Outputs.resize(Kernel.getNumResults());
  Pointers.resize(Inputs.size() + Outputs.size());
  FlushesDenormals = Kernel->hasAttr(FlushAttrName) &&
                     multipliesTogether(Options.Isa, /*Together=*/2);
  Result.Grid = 1;
  Result.ScratchBytes = 0;
}

KernelBuilder::~KernelBuilder() = default;

void KernelBuilder::finish() {
  LLVM::ReturnOp::create(B, Loc, EntryEnd->getResult(0));
  Result.ScratchBytes = ScratchUsed;
}

bool KernelBuilder::isAvx512() const {
  return StringRef(Options.Isa).starts_with("avx512");
}

template <typename Fn> auto KernelBuilder::atEntry(Fn F) {
  OpBuilder::InsertionGuard Guard(B);
  B.setInsertionPoint(EntryEnd);
  return F();
}

KernelBuilder::Value KernelBuilder::context() { return Func.getArgument(0); }

KernelBuilder::Value KernelBuilder::bufferPointer(unsigned I) {
  if (!Pointers[I])
    Pointers[I] = atEntry([&]() -> Value {
      auto Ptr = LLVM::LLVMPointerType::get(B.getContext());
      Value Slot =
          LLVM::GEPOp::create(B, Loc, Ptr, Ptr, Func.getArgument(2),
                              ArrayRef<LLVM::GEPArg>{LLVM::GEPArg(int32_t(I))});
      return LLVM::LoadOp::create(B, Loc, Ptr, Slot);
    });
  return Pointers[I];
}

KernelBuilder::Value KernelBuilder::memrefOf(Value Pointer, Type Element) {
  auto Ty = MemRefType::get({ShapedType::kDynamic}, Element);
  return UnrealizedConversionCastOp::create(B, Loc, Ty, Pointer).getResult(0);
}

TensorView KernelBuilder::makeView(unsigned Buffer, Type Ty, bool ReadOnly) {
  auto Tensor = cast<RankedTensorType>(Ty);
  TensorView View;
  View.Element = Tensor.getElementType();
  View.Shape = getDims(Ty);
  View.Strides = stridesOf(View.Shape, getOrder(Ty));
  View.ReadOnly = ReadOnly;
  Value Pointer = bufferPointer(Buffer);
  View.Memref =
      atEntry([&] { return memrefOf(Pointer, memoryType(View.Element)); });
  return View;
}

const TensorView &KernelBuilder::input(unsigned I) {
  if (!Inputs[I])
    Inputs[I] = makeView(I, Kernel.getArgument(I).getType(), true);
  return *Inputs[I];
}

const TensorView &KernelBuilder::output(unsigned I) {
  if (!Outputs[I])
    Outputs[I] = makeView(Inputs.size() + I, Kernel.getResultTypes()[I], false);
  return *Outputs[I];
}

KernelBuilder::Value KernelBuilder::inputMemref(unsigned I, Type Element) {
  Value Pointer = bufferPointer(I);
  return atEntry([&] { return memrefOf(Pointer, Element); });
}

KernelBuilder::Value KernelBuilder::outputMemref(unsigned I, Type Element) {
  Value Pointer = bufferPointer(Inputs.size() + I);
  return atEntry([&] { return memrefOf(Pointer, Element); });
}

bool KernelBuilder::isConstantInput(unsigned I) const {
  return bool(func::FuncOp(Kernel).getArgAttr(I, "limosa.constant"));
}

//===----------------------------------------------------------------------===//
// Dimension expressions
//===----------------------------------------------------------------------===//

KernelBuilder::Value KernelBuilder::dim(const DimExpr &E) {
  if (auto C = E.constant())
    return Math.constant(*C);
  Value &Cached = DimValues[E.toString()];
  if (Cached)
    return Cached;
  Value V = atEntry([&]() -> Value {
    Value Sum = Math.constant(0);
    for (const DimExpr::Term &T : E.terms()) {
      Value Product = Math.constant(T.Coefficient);
      for (const DimExpr::Atom &A : T.Factors)
        Product = Math.mul(Product, atom(*A));
      Sum = Math.add(Sum, Product);
    }
    return Sum;
  });
  return DimValues[E.toString()] = V;
}

KernelBuilder::Value KernelBuilder::atom(const DimAtom &A) {
  if (A.Kind == DimAtomKind::Symbol) {
    Value &Cached = SymbolValues[A.Text];
    if (Cached)
      return Cached;
    int32_t Slot = Result.Symbols.size();
    Result.Symbols.push_back(A.Text);
    auto Ptr = LLVM::LLVMPointerType::get(B.getContext());
    Value Address =
        LLVM::GEPOp::create(B, Loc, Ptr, B.getI64Type(), Func.getArgument(1),
                            ArrayRef<LLVM::GEPArg>{Slot});
    Value Loaded = LLVM::LoadOp::create(B, Loc, B.getI64Type(), Address);
    return Cached =
               arith::IndexCastOp::create(B, Loc, B.getIndexType(), Loaded);
  }
  Value L = dim(A.Args[0]);
  if (A.Kind == DimAtomKind::Min)
    return Math.min(L, dim(A.Args[1]));
  if (A.Kind == DimAtomKind::Max)
    return Math.max(L, dim(A.Args[1]));
  // Rounding down of a numerator that may be negative by a positive divisor.
  Value R = divisor(A.Args[1]);
  Value Numerator = L;
  if (A.Args[0].lowerBound().value_or(-1) < 0)
    Numerator = Math.select(Math.lt(L, Math.constant(0)),
                            Math.sub(L, Math.sub(R, Math.constant(1))), L);
  Value Q = B.createOrFold<arith::DivSIOp>(Loc, Numerator, R);
  if (A.Kind == DimAtomKind::FloorDiv)
    return Q;
  return Math.sub(L, Math.mul(Q, R));
}

KernelBuilder::Value KernelBuilder::divisor(const DimExpr &E) {
  if (E.lowerBound().value_or(0) >= 1)
    return dim(E);
  Value &Cached = DivisorValues[E.toString()];
  if (Cached)
    return Cached;
  Value V = dim(E);
  return Cached = atEntry([&] { return Math.max(V, Math.constant(1)); });
}

//===----------------------------------------------------------------------===//
// Constants and scratch
//===----------------------------------------------------------------------===//

KernelBuilder::Value KernelBuilder::splat(Attribute Element, Type RegisterTy) {
  if (auto Vec = dyn_cast<VectorType>(RegisterTy))
    return arith::ConstantOp::create(B, Loc,
                                     SplatElementsAttr::get(Vec, Element));
  return arith::ConstantOp::create(B, Loc, cast<TypedAttr>(Element));
}

KernelBuilder::Value KernelBuilder::scratch(const DimExpr &Elements,
                                            Type MemoryElement) {
  int64_t Bytes = MemoryElement.getIntOrFloatBitWidth() / 8;
  DimExpr Offset = ScratchUsed;
  ScratchUsed =
      ScratchUsed + DimExpr::ceilDiv(Elements * DimExpr(Bytes), 64) * 64;
  Value OffsetValue = atEntry([&] { return dim(Offset); });
  return atEntry([&]() -> Value {
    auto Ptr = LLVM::LLVMPointerType::get(B.getContext());
    Value Slot = LLVM::GEPOp::create(B, Loc, Ptr, B.getI8Type(), context(),
                                     ArrayRef<LLVM::GEPArg>{int32_t(offsetof(
                                         LimosaKernelContext, scratch))});
    Value Base = LLVM::LoadOp::create(B, Loc, Ptr, Slot);
    Value I64 = arith::IndexCastOp::create(B, Loc, B.getI64Type(), OffsetValue);
    Value At = LLVM::GEPOp::create(B, Loc, Ptr, B.getI8Type(), Base,
                                   ArrayRef<LLVM::GEPArg>{I64});
    return memrefOf(At, MemoryElement);
  });
}

KernelBuilder::Value KernelBuilder::constantMemref(ArrayRef<char> Bytes,
                                                   Type MemoryElement) {
  LLVM::GlobalOp Global;
  {
    OpBuilder::InsertionGuard Guard(B);
    B.setInsertionPoint(Func);
    auto Ty = LLVM::LLVMArrayType::get(B.getI8Type(), Bytes.size());
    std::string Name =
        (Twine(Result.Symbol) + "_data" + Twine(NumGlobals++)).str();
    Global = LLVM::GlobalOp::create(
        B, Loc, Ty, /*isConstant=*/true, LLVM::Linkage::Private, Name,
        B.getStringAttr(StringRef(Bytes.data(), Bytes.size())),
        /*alignment=*/64);
  }
  return atEntry([&]() -> Value {
    Value Address = LLVM::AddressOfOp::create(B, Loc, Global);
    return memrefOf(Address, MemoryElement);
  });
}

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

SmallVector<Value> KernelBuilder::forLoop(Value Lo, Value Hi, int64_t Step,
                                          ValueRange Inits, LoopBody Body) {
  auto Loop = scf::ForOp::create(B, Loc, Lo, Hi, Math.constant(Step), Inits);
  OpBuilder::InsertionGuard Guard(B);
  B.setInsertionPointToStart(Loop.getBody());
  SmallVector<Value> Yielded =
      Body(Loop.getInductionVar(), Loop.getRegionIterArgs());
  if (!Inits.empty())
    scf::YieldOp::create(B, Loc, Yielded);
  return SmallVector<Value>(Loop.getResults());
}

void KernelBuilder::forLoop(Value Lo, Value Hi, int64_t Step,
                            llvm::function_ref<void(Value)> Body) {
  forLoop(Lo, Hi, Step, ValueRange(), [&](Value I, ValueRange) {
    Body(I);
    return SmallVector<Value>();
  });
}

SmallVector<Value> KernelBuilder::ifElse(Value Condition, TypeRange Results,
                                         Branch Then, Branch Else) {
  auto If = scf::IfOp::create(B, Loc, Results, Condition,
                              /*addThenBlock=*/true, /*addElseBlock=*/true);
  OpBuilder::InsertionGuard Guard(B);
  B.setInsertionPointToStart(If.thenBlock());
  scf::YieldOp::create(B, Loc, Then());
  B.setInsertionPointToStart(If.elseBlock());
  scf::YieldOp::create(B, Loc, Else());
  return SmallVector<Value>(If.getResults());
}

void KernelBuilder::ifElse(Value Condition, llvm::function_ref<void()> Then,
                           llvm::function_ref<void()> Else) {
  auto Emit = [](llvm::function_ref<void()> Body) {
    return [Body] {
      Body();
      return SmallVector<Value>();
    };
  };
  ifElse(Condition, TypeRange(), Emit(Then), Emit(Else));
}

void KernelBuilder::ifThen(Value Condition, llvm::function_ref<void()> Then) {
  auto If = scf::IfOp::create(B, Loc, Condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard Guard(B);
  B.setInsertionPointToStart(If.thenBlock());
  Then();
}

void KernelBuilder::hoist(Operation *Op) {
  while (auto Loop = dyn_cast_or_null<scf::ForOp>(Op->getParentOp())) {
    if (!llvm::all_of(Op->getOperands(),
                      [&](Value V) { return Loop.isDefinedOutsideOfLoop(V); }))
      return;
    Op->moveBefore(Loop);
  }
}

void KernelBuilder::notifyOperationInserted(Operation *Op,
                                            OpBuilder::InsertPoint Previous) {
  if (Previous.isSet() || Op->getNumRegions() != 0 || !isPure(Op) ||
      Op->hasTrait<OpTrait::IsTerminator>())
    return;
  hoist(Op);
}
