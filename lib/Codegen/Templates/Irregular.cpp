//===- Irregular.cpp - Sort, scan, scatter, compact, random bits ----------===//

#include "Irregular.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;
using limosa::codegen::Index;

void codegen::addIrregularTemplates(TemplateRegistry &Registry) {
  Registry.add(SortTemplate);
  Registry.add(ScanTemplate);
  Registry.add(ScatterTemplate);
  Registry.add(UpdateSliceTemplate);
  Registry.add(CompactTemplate);
  Registry.add(RandomBitsTemplate);
}

SmallVector<unsigned> codegen::dimsWithout(unsigned Rank,
                                           ArrayRef<unsigned> Without) {
  SmallVector<unsigned> Result;
  for (unsigned D = 0; D < Rank; ++D)
    if (!llvm::is_contained(Without, D))
      Result.push_back(D);
  return Result;
}

DimExpr codegen::extentOf(ArrayRef<DimExpr> Shape, ArrayRef<unsigned> Dims) {
  DimExpr Product = 1;
  for (unsigned D : Dims)
    Product = Product * Shape[D];
  return Product;
}

void codegen::setLinear(Coords &At, ArrayRef<unsigned> Dims,
                        const Index &Linear) {
  if (Dims.empty())
    return;
  if (Dims.size() == 1) {
    At.PerDim[Dims[0]] = Linear;
    return;
  }
  IndexGroup Group;
  Group.Dims.assign(Dims.begin(), Dims.end());
  Group.Linear = Linear;
  At.Groups.push_back(std::move(Group));
}

Value codegen::sameMemory(KernelBuilder &KB, const TensorView &A,
                          const TensorView &B) {
  auto Address = [&](const TensorView &View) -> Value {
    return memref::ExtractAlignedPointerAsIndexOp::create(
        KB.builder(), KB.loc(), View.Memref);
  };
  return KB.math().eq(Address(A), Address(B));
}
