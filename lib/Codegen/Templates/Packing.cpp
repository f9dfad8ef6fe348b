//===- Packing.cpp - Constant operands in panels --------------------------===//

#include "limosa/Codegen/Packing.h"

#include "limosa/Codegen/Codegen.h"
#include "limosa/IR/Types.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <cstring>

using namespace mlir;

namespace limosa::codegen {

static constexpr llvm::StringLiteral PanelPrefix = "panel ";

static std::string joinDims(ArrayRef<int64_t> Ds) {
  return llvm::join(
      llvm::map_range(Ds, [](int64_t D) { return std::to_string(D); }), ".");
}

std::string PanelLayout::toString() const {
  return llvm::formatv("{0}nr={1} vl={2} g={3} b={4} k={5} n={6}", PanelPrefix,
                       PanelColumns, Lanes, Groups, joinDims(Batch),
                       joinDims(K), joinDims(Columns));
}

bool PanelLayout::isPanelSpec(StringRef Text) {
  return Text.starts_with(PanelPrefix);
}

llvm::Expected<PanelLayout> PanelLayout::parse(StringRef Text) {
  auto Fail = [&] {
    return llvm::createStringError("not a panel layout: '" + Text + "'");
  };
  PanelLayout L;
  StringRef Rest = Text;
  if (!Rest.consume_front(PanelPrefix))
    return Fail();
  SmallVector<StringRef> Fields;
  Rest.split(Fields, ' ');
  for (StringRef Field : Fields) {
    auto [Key, Value] = Field.split('=');
    SmallVector<int64_t> Numbers;
    SmallVector<StringRef> Parts;
    Value.split(Parts, '.', -1, /*KeepEmpty=*/false);
    for (StringRef P : Parts)
      if (P.getAsInteger(10, Numbers.emplace_back()))
        return Fail();
    if (Key == "b")
      L.Batch = Numbers;
    else if (Key == "k")
      L.K = Numbers;
    else if (Key == "n")
      L.Columns = Numbers;
    else if (Numbers.size() != 1)
      return Fail();
    else if (Key == "nr")
      L.PanelColumns = Numbers[0];
    else if (Key == "vl")
      L.Lanes = Numbers[0];
    else if (Key == "g")
      L.Groups = Numbers[0];
    else
      return Fail();
  }
  if (L.Lanes <= 0 || L.PanelColumns <= 0 || L.PanelColumns % L.Lanes ||
      L.Groups <= 0 || (L.Groups > 1 && L.Columns.empty()))
    return Fail();
  return L;
}

static int64_t product(RankedTensorType Ty, ArrayRef<int64_t> Ds) {
  int64_t P = 1;
  for (int64_t D : Ds)
    P *= Ty.getDimSize(D);
  return P;
}

int64_t PanelLayout::columns(RankedTensorType Ty) const {
  return product(Ty, Columns) / Groups;
}
int64_t PanelLayout::depth(RankedTensorType Ty) const { return product(Ty, K); }
int64_t PanelLayout::batch(RankedTensorType Ty) const {
  return product(Ty, Batch);
}
int64_t PanelLayout::groupElements(RankedTensorType Ty) const {
  return depth(Ty) * ((columns(Ty) + Lanes - 1) / Lanes * Lanes);
}

/// Offsets of all positions of these dimensions, row-major.
static std::vector<int64_t> offsetsOf(RankedTensorType Ty,
                                      ArrayRef<int64_t> Strides,
                                      ArrayRef<int64_t> Ds) {
  std::vector<int64_t> Out{0};
  for (int64_t D : Ds) {
    std::vector<int64_t> Next;
    Next.reserve(Out.size() * Ty.getDimSize(D));
    for (int64_t Base : Out)
      for (int64_t I = 0; I < Ty.getDimSize(D); ++I)
        Next.push_back(Base + I * Strides[D]);
    Out = std::move(Next);
  }
  return Out;
}

template <typename T>
static void packElements(const PanelLayout &L, RankedTensorType Ty,
                         ArrayRef<int64_t> Strides, const T *In, T *Out) {
  std::vector<int64_t> Batch = offsetsOf(Ty, Strides, L.Batch);
  std::vector<int64_t> K = offsetsOf(Ty, Strides, L.K);
  std::vector<int64_t> Columns = offsetsOf(Ty, Strides, L.Columns);
  int64_t PerGroup = L.columns(Ty);
  for (int64_t Base : Batch)
    for (int64_t G = 0; G < L.Groups; ++G)
      for (int64_t First = 0; First < PerGroup; First += L.PanelColumns) {
        int64_t Left = std::min(L.PanelColumns, PerGroup - First);
        int64_t Width = (Left + L.Lanes - 1) / L.Lanes * L.Lanes;
        const int64_t *Col = Columns.data() + G * PerGroup + First;
        for (int64_t Row : K) {
          for (int64_t J = 0; J < Left; ++J)
            Out[J] = In[Base + Row + Col[J]];
          Out += Width; // the caller's buffer is zeroed
        }
      }
}

llvm::Expected<std::vector<uint8_t>>
packPanels(const PanelLayout &L, RankedTensorType Ty, ArrayRef<uint8_t> Bytes) {
  if (!Ty.hasStaticShape())
    return llvm::createStringError("only constants of static shape are packed");
  SmallVector<bool> Seen(Ty.getRank(), false);
  for (ArrayRef<int64_t> Ds :
       {ArrayRef(L.Batch), ArrayRef(L.K), ArrayRef(L.Columns)})
    for (int64_t D : Ds) {
      if (D < 0 || D >= Ty.getRank() || Seen[D])
        return llvm::createStringError(
            "panel layout does not fit the constant");
      Seen[D] = true;
    }
  unsigned ElementBytes = (Ty.getElementTypeBitWidth() + 7) / 8;
  if (llvm::is_contained(Seen, false) ||
      Bytes.size() != size_t(Ty.getNumElements()) * ElementBytes ||
      product(Ty, L.Columns) % L.Groups)
    return llvm::createStringError("panel layout does not fit the constant");

  SmallVector<int64_t> Strides(Ty.getRank(), 1);
  int64_t Stride = 1;
  for (int64_t D : llvm::reverse(getOrder(Ty))) {
    Strides[D] = Stride;
    Stride *= Ty.getDimSize(D);
  }
  std::vector<uint8_t> Out(L.batch(Ty) * L.Groups * L.groupElements(Ty) *
                           ElementBytes);
  auto Pack = [&]<typename T>(T) {
    packElements(L, Ty, Strides, reinterpret_cast<const T *>(Bytes.data()),
                 reinterpret_cast<T *>(Out.data()));
  };
  switch (ElementBytes) {
  case 1:
    Pack(uint8_t());
    break;
  case 2:
    Pack(uint16_t());
    break;
  case 4:
    Pack(uint32_t());
    break;
  case 8:
    Pack(uint64_t());
    break;
  default:
    return llvm::createStringError("constants of this dtype are not packed");
  }
  return Out;
}

llvm::Expected<std::vector<uint8_t>>
packConstant(StringRef Spec, RankedTensorType Ty, ArrayRef<uint8_t> Bytes) {
  llvm::Expected<PanelLayout> Layout = PanelLayout::parse(Spec);
  if (!Layout)
    return Layout.takeError();
  return packPanels(*Layout, Ty, Bytes);
}

} // namespace limosa::codegen
