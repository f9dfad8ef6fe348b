//===- Packing.cpp - Constant operands in panels --------------------------===//

#include "limosa/Codegen/Packing.h"

#include "limosa/Codegen/Codegen.h"
#include "limosa/IR/Types.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace limosa::codegen {

using PanelDims = ArrayRef<PanelLayout::Dim>;

static constexpr llvm::StringLiteral PanelPrefix = "panel ";

static std::string joinDims(PanelDims Ds) {
  return llvm::join(llvm::map_range(Ds,
                                    [](PanelLayout::Dim D) {
                                      return std::to_string(D.Extent) + ":" +
                                             std::to_string(D.Stride);
                                    }),
                    ",");
}

std::string PanelLayout::toString() const {
  return llvm::formatv("{0}nr={1} vl={2} g={3} o={4} b={5} k={6} n={7}",
                       PanelPrefix, PanelColumns, Lanes, Groups, Offset,
                       joinDims(Batch), joinDims(K), joinDims(Columns));
}

bool PanelLayout::isPanelSpec(StringRef Text) {
  return Text.starts_with(PanelPrefix);
}

static bool parseDims(StringRef Text, SmallVectorImpl<PanelLayout::Dim> &Out) {
  SmallVector<StringRef> Parts;
  Text.split(Parts, ',', -1, /*KeepEmpty=*/false);
  for (StringRef Part : Parts) {
    auto [Extent, Stride] = Part.split(':');
    PanelLayout::Dim D;
    if (Extent.getAsInteger(10, D.Extent) ||
        Stride.getAsInteger(10, D.Stride) || D.Extent < 0)
      return false;
    Out.push_back(D);
  }
  return true;
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
    SmallVectorImpl<Dim> *List = Key == "b"   ? &L.Batch
                                 : Key == "k" ? &L.K
                                 : Key == "n" ? &L.Columns
                                              : nullptr;
    int64_t *Number = Key == "nr"   ? &L.PanelColumns
                      : Key == "vl" ? &L.Lanes
                      : Key == "g"  ? &L.Groups
                      : Key == "o"  ? &L.Offset
                                    : nullptr;
    bool Good = List     ? parseDims(Value, *List)
                : Number ? !Value.getAsInteger(10, *Number)
                         : false;
    if (!Good)
      return Fail();
  }
  if (L.Lanes <= 0 || L.PanelColumns <= 0 || L.PanelColumns % L.Lanes ||
      L.Groups <= 0)
    return Fail();
  return L;
}

static int64_t product(PanelDims Ds) {
  int64_t P = 1;
  for (PanelLayout::Dim D : Ds)
    P *= D.Extent;
  return P;
}

int64_t PanelLayout::columns() const { return product(Columns) / Groups; }
int64_t PanelLayout::depth() const { return product(K); }
int64_t PanelLayout::batch() const { return product(Batch); }
int64_t PanelLayout::groupElements() const {
  return depth() * ((columns() + Lanes - 1) / Lanes * Lanes);
}

std::optional<SmallVector<PanelLayout::Dim>>
panelDims(const StridedView &View, ArrayRef<unsigned> Which) {
  SmallVector<PanelLayout::Dim> Out;
  for (unsigned D : Which) {
    auto Extent = View.Dims[D].Extent.constant();
    auto Stride = View.Dims[D].Stride.constant();
    if (!Extent || !Stride)
      return std::nullopt;
    Out.push_back({*Extent, *Stride});
  }
  return Out;
}

bool isPackable(func::FuncOp Kernel, const StridedView &View) {
  BlockArgument Arg = View.Argument;
  return Arg.hasOneUse() &&
         Kernel.getArgAttr(Arg.getArgNumber(), "limosa.constant") &&
         View.Offset.constant() &&
         llvm::all_of(View.Dims,
                      [](const StridedView::Dim &D) {
                        return D.Extent.constant() && D.Stride.constant();
                      }) &&
         llvm::all_of(View.Through,
                      [](Operation *Op) { return Op->hasOneUse(); });
}

/// Offsets of all positions of these dimensions, row-major.
static std::vector<int64_t> offsetsOf(PanelDims Ds) {
  std::vector<int64_t> Out{0};
  for (PanelLayout::Dim D : Ds) {
    std::vector<int64_t> Next;
    Next.reserve(Out.size() * D.Extent);
    for (int64_t Base : Out)
      for (int64_t I = 0; I < D.Extent; ++I)
        Next.push_back(Base + I * D.Stride);
    Out = std::move(Next);
  }
  return Out;
}

template <typename T>
static void packElements(const PanelLayout &L, const T *In, T *Out) {
  std::vector<int64_t> Batch = offsetsOf(L.Batch), K = offsetsOf(L.K),
                       Columns = offsetsOf(L.Columns);
  int64_t PerGroup = L.columns();
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

/// Whether all elements of the layout lie in a constant of `Elements`.
static bool fitsIn(const PanelLayout &L, int64_t Elements) {
  int64_t First = L.Offset, Last = L.Offset;
  for (PanelDims Ds :
       {PanelDims(L.Batch), PanelDims(L.K), PanelDims(L.Columns)})
    for (PanelLayout::Dim D : Ds) {
      if (D.Extent == 0)
        return true;
      (D.Stride < 0 ? First : Last) += (D.Extent - 1) * D.Stride;
    }
  return First >= 0 && Last < Elements;
}

llvm::Expected<std::vector<uint8_t>> packPanels(const PanelLayout &L,
                                                unsigned ElementBytes,
                                                ArrayRef<uint8_t> Bytes) {
  if (product(L.Columns) % L.Groups ||
      !fitsIn(L, int64_t(Bytes.size() / ElementBytes)))
    return llvm::createStringError("panel layout does not fit the constant");
  std::vector<uint8_t> Out(L.batch() * L.Groups * L.groupElements() *
                           ElementBytes);
  auto Pack = [&]<typename T>(T) {
    packElements(L, reinterpret_cast<const T *>(Bytes.data()) + L.Offset,
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
  return packPanels(*Layout, (Ty.getElementTypeBitWidth() + 7) / 8, Bytes);
}

} // namespace limosa::codegen
