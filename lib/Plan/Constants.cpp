//===- Constants.cpp - The data section of a program ----------------------===//

#include "Constants.h"

#include "limosa/Codegen/Codegen.h"
#include "limosa/Dispatch/Fusion.h"
#include "limosa/IR/Types.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/Support/Errc.h"
#include "llvm/Support/xxhash.h"

#include <cstring>

using namespace mlir;

namespace limosa::plan {

static llvm::Error fail(const llvm::Twine &Message) {
  return llvm::createStringError(llvm::errc::invalid_argument, Message);
}

/// Row-major bytes to those of the physical order `Order`.
static std::vector<uint8_t> reorder(ArrayRef<uint8_t> Bytes,
                                    ArrayRef<int64_t> Shape, unsigned Width,
                                    ArrayRef<int64_t> Order) {
  unsigned Rank = Shape.size();
  SmallVector<int64_t> Strides(Rank, Width);
  for (int D = int(Rank) - 2; D >= 0; --D)
    Strides[D] = Strides[D + 1] * Shape[D + 1];
  std::vector<uint8_t> Out(Bytes.size());
  SmallVector<int64_t> Index(Rank, 0); // by physical position
  for (size_t At = 0; At < Out.size(); At += Width) {
    int64_t From = 0;
    for (unsigned P = 0; P < Rank; ++P)
      From += Index[P] * Strides[Order[P]];
    std::memcpy(&Out[At], &Bytes[From], Width);
    for (int P = int(Rank) - 1; P >= 0; --P) {
      if (++Index[P] < Shape[Order[P]])
        break;
      Index[P] = 0;
    }
  }
  return Out;
}

llvm::Expected<ArrayRef<uint8_t>> constantBytes(ElementsAttr Value,
                                                RankedTensorType Ty,
                                                std::vector<uint8_t> &Owned) {
  DType T = getDType(Ty.getElementType());
  size_t Size = dtypeBytes(T, Ty.getNumElements());
  ArrayRef<uint8_t> Bytes;
  if (auto Resource = dyn_cast<DenseResourceElementsAttr>(Value)) {
    AsmResourceBlob *Blob = Resource.getRawHandle().getBlob();
    if (!Blob || Blob->getData().size() < Size)
      return fail("the bytes of constant '" + Resource.getRawHandle().getKey() +
                  "' are missing");
    Bytes = {reinterpret_cast<const uint8_t *>(Blob->getData().data()), Size};
  } else if (auto Dense = dyn_cast<DenseElementsAttr>(Value)) {
    if (T == DType::Bool || dtypeBits(T) < 8) {
      // Bits in MLIR, bytes or packed nibbles here.
      Owned.assign(Size, 0);
      for (auto [I, V] : llvm::enumerate(Dense.getValues<APInt>()))
        if (T == DType::Bool)
          Owned[I] = !V.isZero();
        else
          Owned[I / 2] |= uint8_t((V.getZExtValue() & 15) << (I % 2 * 4));
      Bytes = Owned;
    } else {
      ArrayRef<char> Raw = Dense.getRawData();
      Bytes = {reinterpret_cast<const uint8_t *>(Raw.data()), Raw.size()};
      if (Dense.isSplat() && Raw.size() < Size) {
        Owned.resize(Size);
        for (size_t At = 0; At < Size; At += Raw.size())
          std::memcpy(&Owned[At], Raw.data(), Raw.size());
        Bytes = Owned;
      }
    }
  } else {
    return fail("a constant of an unknown kind");
  }
  SmallVector<int64_t> Order = getOrder(Ty);
  if (!llvm::is_sorted(Order) && isRowMajor(Value.getShapedType())) {
    if (dtypeBits(T) < 8)
      return fail("a constant of 4-bit elements that is not row-major");
    Owned = reorder(Bytes, Ty.getShape(), dtypeBits(T) / 8, Order);
    Bytes = Owned;
  }
  return Bytes;
}

llvm::Expected<uint32_t> ConstantTable::add(ConstantOp Op, StringRef Spec) {
  auto &Packings = ByAttr[{Op.getValue(), Op.getType()}];
  if (auto It = Packings.find(Spec); It != Packings.end())
    return It->second;

  auto Ty = cast<RankedTensorType>(Op.getType());
  std::vector<uint8_t> Owned;
  auto Bytes = constantBytes(Op.getValue(), Ty, Owned);
  if (!Bytes)
    return Bytes.takeError();
  if (!Spec.empty()) {
    auto Packed = codegen::packConstant(Spec, Ty, *Bytes);
    if (!Packed)
      return Packed.takeError();
    Owned = std::move(*Packed);
    Bytes = Owned;
  }

  auto Hash = llvm::xxh3_128bits(*Bytes);
  std::string Key = llvm::utohexstr(Hash.high64) + "." +
                    llvm::utohexstr(Hash.low64) + "." +
                    std::to_string(Bytes->size()) + "." + Spec.str() + ".";
  llvm::raw_string_ostream(Key) << Ty.getElementType();
  for (int64_t D : Ty.getShape())
    Key += "x" + std::to_string(D);
  auto [It, IsNew] = ByContent.try_emplace(Key, Program.constants.size());
  if (IsNew) {
    auto C = std::make_unique<fb::ConstantT>();
    SmallVector<std::string> Nodes = modelNodes(Op.getLoc());
    C->name = Nodes.empty() ? "" : Nodes.front();
    C->dtype = uint8_t(getDType(Ty.getElementType()));
    C->dims.assign(Ty.getShape().begin(), Ty.getShape().end());
    C->size = Bytes->size();
    C->packed = Spec.str();
    C->offset = Owned.empty()
                    ? File.addData(std::span(Bytes->data(), Bytes->size()))
                    : File.addData(std::move(Owned));
    Program.constants.push_back(std::move(C));
  }
  return Packings[Spec] = It->second;
}

} // namespace limosa::plan
