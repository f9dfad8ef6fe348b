//===- Tensors.cpp - ONNX tensors and element types -----------------------===//

#include "Tensors.h"
#include "limosa/IR/LimosaDialect.h"
#include "limosa/IR/Types.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using llvm::Error;
using llvm::Expected;
using llvm::MulOverflow;
using namespace limosa;
using namespace limosa::onnximport;
using onnx::TensorProto;

/// Constants of more bytes refer to the file instead of being copied.
static constexpr size_t InlineBytes = 16 << 10;
/// Rank of the largest tensor that makes sense.
static constexpr int MaxRank = 64;

Type limosa::onnximport::elementType(MLIRContext *Ctx, int64_t DataType) {
  auto Int = [&](unsigned Bits, bool Unsigned = false) -> Type {
    return IntegerType::get(
        Ctx, Bits, Unsigned ? IntegerType::Unsigned : IntegerType::Signless);
  };
  switch (DataType) {
  case TensorProto::FLOAT:
    return Float32Type::get(Ctx);
  case TensorProto::UINT8:
    return Int(8, true);
  case TensorProto::INT8:
    return Int(8);
  case TensorProto::UINT16:
    return Int(16, true);
  case TensorProto::INT16:
    return Int(16);
  case TensorProto::INT32:
    return Int(32);
  case TensorProto::INT64:
    return Int(64);
  case TensorProto::BOOL:
    return Int(1);
  case TensorProto::FLOAT16:
    return Float16Type::get(Ctx);
  case TensorProto::DOUBLE:
    return Float64Type::get(Ctx);
  case TensorProto::UINT32:
    return Int(32, true);
  case TensorProto::UINT64:
    return Int(64, true);
  case TensorProto::BFLOAT16:
    return BFloat16Type::get(Ctx);
  case TensorProto::FLOAT8E4M3FN:
    return Float8E4M3FNType::get(Ctx);
  case TensorProto::FLOAT8E4M3FNUZ:
    return Float8E4M3FNUZType::get(Ctx);
  case TensorProto::FLOAT8E5M2:
    return Float8E5M2Type::get(Ctx);
  case TensorProto::FLOAT8E5M2FNUZ:
    return Float8E5M2FNUZType::get(Ctx);
  case TensorProto::UINT4:
    return Int(4, true);
  case TensorProto::INT4:
    return Int(4);
  case TensorProto::FLOAT4E2M1:
    return Float4E2M1FNType::get(Ctx);
  case TensorProto::UINT2:
    return Int(2, true);
  case TensorProto::INT2:
    return Int(2);
  case TensorProto::FLOAT8E8M0:
    return Float8E8M0FNUType::get(Ctx);
  case TensorProto::STRING:
    return StringType::get(Ctx);
  default:
    return Type();
  }
}

bool limosa::onnximport::isCarried(Type T) {
  return isa<Float8E8M0FNUType>(T) ||
         (isa<IntegerType>(T) && T.getIntOrFloatBitWidth() == 2);
}

Type limosa::onnximport::carrierOf(Type T) {
  if (!isCarried(T))
    return T;
  bool Signed = isa<IntegerType>(T) && !T.isUnsignedInteger();
  return IntegerType::get(T.getContext(), 8,
                          Signed ? IntegerType::Signless
                                 : IntegerType::Unsigned);
}

std::string limosa::onnximport::dataTypeName(int64_t DataType) {
  if (DataType > INT32_MAX || !TensorProto::DataType_IsValid(int(DataType)))
    return ("unknown type " + Twine(DataType)).str();
  return StringRef(TensorProto::DataType_Name(TensorProto::DataType(DataType)))
      .lower();
}

std::string limosa::onnximport::typeName(Type T) {
  if (isCarried(T))
    return isa<FloatType>(T)       ? "float8e8m0"
           : T.isUnsignedInteger() ? "uint2"
                                   : "int2";
  return std::string(dtypeName(getDType(T)));
}

/// Number of elements, if the dims make sense and the bytes can be counted.
static Expected<int64_t> countElements(const TensorProto &T) {
  if (T.dims_size() > MaxRank)
    return makeError("has rank " + Twine(T.dims_size()));
  int64_t Count = 1;
  for (int64_t D : T.dims()) {
    if (D < 0)
      return makeError("has a negative dimension");
    if (MulOverflow(Count, D, Count) || Count > (int64_t(1) << 48))
      return makeError("has more elements than memory can hold");
  }
  return Count;
}

/// Values from a typed field (float_data ...), as bytes of the element type.
template <typename T, typename Field>
static std::vector<char> pack(const Field &Values) {
  std::vector<char> Out(size_t(Values.size()) * sizeof(T));
  for (int I = 0; I < Values.size(); ++I) {
    T V = static_cast<T>(Values.Get(I));
    std::memcpy(Out.data() + size_t(I) * sizeof(T), &V, sizeof(T));
  }
  return Out;
}

static Expected<std::vector<char>> packTyped(const TensorProto &T) {
  switch (T.data_type()) {
  case TensorProto::FLOAT:
    return pack<float>(T.float_data());
  case TensorProto::DOUBLE:
    return pack<double>(T.double_data());
  case TensorProto::INT64:
    return pack<int64_t>(T.int64_data());
  case TensorProto::UINT32:
    return pack<uint32_t>(T.uint64_data());
  case TensorProto::UINT64:
    return pack<uint64_t>(T.uint64_data());
  case TensorProto::INT32:
    return pack<int32_t>(T.int32_data());
  case TensorProto::INT16:
  case TensorProto::UINT16:
  case TensorProto::FLOAT16:
  case TensorProto::BFLOAT16:
    return pack<uint16_t>(T.int32_data());
  default: // One byte each, or two 4-bit elements a byte.
    return pack<uint8_t>(T.int32_data());
  }
}

static Expected<StringRef> externalBytes(ModelFile &File, const TensorProto &T,
                                         size_t Expected) {
  StringRef Location;
  uint64_t Offset = 0, Length = Expected;
  bool HasLength = false;
  for (const auto &Entry : T.external_data()) {
    StringRef Key = Entry.key(), Value = Entry.value();
    if (Key == "location")
      Location = Value;
    else if (Key == "offset" && Value.getAsInteger(10, Offset))
      return makeError("has external data with a bad offset");
    else if (Key == "length") {
      if (Value.getAsInteger(10, Length))
        return makeError("has external data with a bad length");
      HasLength = true;
    }
  }
  auto Data = File.externalFile(Location);
  if (!Data)
    return Data.takeError();
  if (HasLength && Length != Expected)
    return makeError("claims " + Twine(Length) +
                     " bytes of external data, its shape needs " +
                     Twine(Expected));
  if (Offset > Data->size() || Expected > Data->size() - Offset)
    return makeError("needs bytes " + Twine(Offset) + " to " +
                     Twine(Offset + Expected) + " of '" + Location +
                     "', which has " + Twine(Data->size()));
  return Data->substr(Offset, Expected);
}

/// One attribute element per stored 4-bit element.
static ElementsAttr unpackNibbles(RankedTensorType Type, ArrayRef<char> Bytes,
                                  int64_t Count) {
  SmallVector<APInt> Values;
  Values.reserve(Count);
  for (int64_t I = 0; I < Count; ++I) {
    uint8_t Byte = uint8_t(Bytes[I / 2]);
    Values.push_back(APInt(4, I % 2 ? Byte >> 4 : Byte & 15));
  }
  if (auto F = dyn_cast<FloatType>(Type.getElementType())) {
    SmallVector<APFloat> Floats;
    for (const APInt &V : Values)
      Floats.push_back(APFloat(F.getFloatSemantics(), V));
    return DenseElementsAttr::get(Type, Floats);
  }
  return DenseElementsAttr::get(Type, Values);
}

/// 2-bit integers, four a byte, as bytes of their own.
static std::vector<char> unpackPairs(ArrayRef<char> Bytes, int64_t Count,
                                     bool Signed) {
  std::vector<char> Out(size_t(Count), 0);
  for (int64_t I = 0; I < Count; ++I) {
    int V = uint8_t(Bytes[I / 4]) >> (I % 4 * 2) & 3;
    Out[I] = char(Signed && V > 1 ? V - 4 : V);
  }
  return Out;
}

/// The attribute for bytes that are in place. `Owner` keeps them alive.
static ElementsAttr makeElements(RankedTensorType Type, ArrayRef<char> Bytes,
                                 int64_t Count, std::shared_ptr<void> Owner,
                                 StringRef Name) {
  mlir::Type E = Type.getElementType();
  if (E.isInteger(1)) {
    SmallVector<bool> Values(Count);
    for (int64_t I = 0; I < Count; ++I)
      Values[I] = Bytes[I] != 0;
    return DenseElementsAttr::get(Type, ArrayRef<bool>(Values));
  }
  const unsigned Bits = E.getIntOrFloatBitWidth();
  if (Bytes.size() <= InlineBytes) {
    if (Bits == 4)
      return unpackNibbles(Type, Bytes, Count);
    // A splat of one element reads like an array of one.
    return DenseElementsAttr::getFromRawBuffer(Type, Bytes);
  }
  size_t Align = std::max(1u, Bits / 8);
  auto Key = Name.empty() ? StringRef("weight") : Name;
  if (reinterpret_cast<uintptr_t>(Bytes.data()) % Align != 0)
    return DenseResourceElementsAttr::get(
        Type, Key,
        HeapAsmResourceBlob::allocateAndCopyWithAlign(Bytes, 64,
                                                      /*dataIsMutable=*/false));
  return DenseResourceElementsAttr::get(
      Type, Key,
      AsmResourceBlob(
          Bytes, Align,
          [Owner](void *, size_t, size_t) mutable { Owner.reset(); },
          /*dataIsMutable=*/false));
}

static Expected<ElementsAttr> readStrings(MLIRContext *Ctx,
                                          const TensorProto &T, int64_t Count) {
  if (T.has_raw_data() || T.data_location() == TensorProto::EXTERNAL)
    return makeError("holds strings as raw or external data, which ONNX does "
                     "not allow");
  if (T.string_data_size() != Count)
    return makeError("has " + Twine(T.string_data_size()) +
                     " strings, its shape needs " + Twine(Count));
  auto Type = RankedTensorType::get(
      SmallVector<int64_t>(T.dims().begin(), T.dims().end()),
      StringType::get(Ctx));
  SmallVector<StringRef> Values(T.string_data().begin(), T.string_data().end());
  return cast<ElementsAttr>(
      cast<DenseElementsAttr>(DenseStringElementsAttr::get(Type, Values)));
}

Expected<ElementsAttr> limosa::onnximport::readTensor(
    MLIRContext *Ctx, std::shared_ptr<ModelFile> File, const TensorProto &T) {
  auto Bad = [&](Error E) {
    return makeError("tensor '" + T.name() + "' " + toString(std::move(E)));
  };
  Type Element = elementType(Ctx, T.data_type());
  if (!Element)
    return Bad(makeError("holds elements of type " +
                         dataTypeName(T.data_type()) +
                         ", which is not supported"));
  auto Count = countElements(T);
  if (!Count)
    return Bad(Count.takeError());
  if (isa<StringType>(Element)) {
    auto Strings = readStrings(Ctx, T, *Count);
    return Strings ? std::move(Strings) : Bad(Strings.takeError());
  }
  auto Type = RankedTensorType::get(
      SmallVector<int64_t>(T.dims().begin(), T.dims().end()),
      carrierOf(Element));
  mlir::Type Held = carrierOf(Element);
  bool Pairs = Held != Element && isa<IntegerType>(Element);
  size_t Bytes = Pairs ? size_t(*Count + 3) / 4
                       : size_t(dtypeBytes(getDType(Held), *Count));

  if (*Count == 0)
    return cast<ElementsAttr>(
        DenseElementsAttr::get(Type, ArrayRef<Attribute>()));
  ArrayRef<char> Data;
  std::shared_ptr<void> Owner = File;
  if (T.data_location() == TensorProto::EXTERNAL) {
    auto External = externalBytes(*File, T, Bytes);
    if (!External)
      return Bad(External.takeError());
    Data = ArrayRef<char>(External->data(), External->size());
  } else if (T.has_raw_data()) {
    Data = ArrayRef<char>(T.raw_data().data(), T.raw_data().size());
  } else {
    auto Typed = packTyped(T);
    if (!Typed)
      return Bad(Typed.takeError());
    auto Kept = std::make_shared<std::vector<char>>(std::move(*Typed));
    Data = *Kept;
    Owner = Kept;
  }
  if (Data.size() != Bytes)
    return Bad(makeError("has " + Twine(Data.size()) +
                         " bytes of data, its shape and type need " +
                         Twine(Bytes)));
  if (Pairs) {
    auto Kept = std::make_shared<std::vector<char>>(
        unpackPairs(Data, *Count, !Element.isUnsignedInteger()));
    return makeElements(Type, *Kept, *Count, Kept, T.name());
  }
  return makeElements(Type, Data, *Count, Owner, T.name());
}

Expected<ElementsAttr>
limosa::onnximport::readSparseTensor(MLIRContext *Ctx,
                                     std::shared_ptr<ModelFile> File,
                                     const onnx::SparseTensorProto &T) {
  auto Values = readTensor(Ctx, File, T.values());
  if (!Values)
    return Values.takeError();
  auto Indices = readTensor(Ctx, File, T.indices());
  if (!Indices)
    return Indices.takeError();
  Type Element = Values->getElementType();
  SmallVector<int64_t> Shape(T.dims().begin(), T.dims().end());
  TensorProto Dense;
  for (int64_t D : Shape)
    Dense.add_dims(D);
  auto Count = countElements(Dense);
  if (!Count)
    return Count.takeError();
  // Small enough to be copied; what is larger has no business being sparse
  // here.
  if (*Count > (1 << 26) || !Element.isIntOrFloat() ||
      Element.getIntOrFloatBitWidth() < 8)
    return makeError("sparse tensor '" + T.values().name() +
                     "' is too large to make dense, or not of a plain type");
  auto IndexType = cast<ShapedType>(Indices->getType());
  int64_t N = Values->getNumElements();
  bool Linear = IndexType.getRank() == 1;
  if (!IndexType.getElementType().isInteger(64) ||
      Indices->getNumElements() != (Linear ? N : N * int64_t(Shape.size())))
    return makeError("sparse tensor '" + T.values().name() +
                     "' has indices that do not fit its values");
  auto Positions = llvm::to_vector(Indices->getValues<int64_t>());
  auto Raw = rawElements(*Values);
  size_t Width = Element.getIntOrFloatBitWidth() / 8;
  auto Kept = std::make_shared<std::vector<char>>(size_t(*Count) * Width, 0);
  for (int64_t I = 0; I < N; ++I) {
    int64_t At = 0;
    if (Linear)
      At = Positions[I];
    else
      for (size_t D = 0; D < Shape.size(); ++D) {
        int64_t P = Positions[size_t(I) * Shape.size() + D];
        At = P < 0 || P >= Shape[D] || At < 0 ? -1 : At * Shape[D] + P;
      }
    if (At < 0 || At >= *Count)
      return makeError("sparse tensor '" + T.values().name() +
                       "' has an index outside of its shape");
    std::memcpy(Kept->data() + size_t(At) * Width,
                Raw->Bytes.data() + (Raw->Splat ? 0 : size_t(I) * Width),
                Width);
  }
  return makeElements(RankedTensorType::get(Shape, Element), *Kept, *Count,
                      Kept, T.values().name());
}

std::optional<RawElements> limosa::onnximport::rawElements(ElementsAttr A) {
  if (auto R = dyn_cast<DenseResourceElementsAttr>(A)) {
    AsmResourceBlob *Blob = R.getRawHandle().getBlob();
    if (!Blob)
      return std::nullopt;
    return RawElements{Blob->getData(), false};
  }
  if (auto D = dyn_cast<DenseIntOrFPElementsAttr>(A))
    return RawElements{D.getRawData(), D.isSplat()};
  return std::nullopt;
}

ElementsAttr limosa::onnximport::bytesAs(ElementsAttr Bytes,
                                         RankedTensorType Type) {
  if (auto R = dyn_cast<DenseResourceElementsAttr>(Bytes))
    return DenseResourceElementsAttr::get(Type, R.getRawHandle());
  auto D = dyn_cast<DenseIntOrFPElementsAttr>(Bytes);
  if (!D || D.isSplat())
    return nullptr;
  return makeElements(Type, D.getRawData(), Type.getNumElements(), nullptr, "");
}
