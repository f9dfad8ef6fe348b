//===- Types.cpp - Tensor types with symbolic dimensions ------------------===//

#include "limosa/IR/Types.h"
#include "limosa/IR/LimosaDialect.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace limosa;

DimExpr limosa::parseDim(StringRef Text) {
  // Passes ask for the same few sizes over and over; parsing long ones was most
  // of the compile time of models that have them.
  constexpr unsigned MaxKept = 1 << 12;
  static thread_local llvm::StringMap<DimExpr> Kept;
  if (auto It = Kept.find(Text); It != Kept.end())
    return It->second;
  auto E = DimExpr::parse(std::string_view(Text.data(), Text.size()));
  assert(E && "verifiers reject expressions that do not parse");
  if (!E)
    return DimExpr::symbol("$?");
  if (Kept.size() >= MaxKept)
    Kept.clear();
  return Kept[Text] = *E;
}

Dims limosa::parseDims(ArrayAttr Texts) {
  Dims Result;
  for (Attribute A : Texts)
    Result.push_back(parseDim(cast<StringAttr>(A).getValue()));
  return Result;
}

ArrayAttr limosa::dimsAttr(MLIRContext *Ctx, ArrayRef<DimExpr> Exprs) {
  SmallVector<Attribute> Texts;
  for (const DimExpr &E : Exprs)
    Texts.push_back(StringAttr::get(Ctx, E.toString()));
  return ArrayAttr::get(Ctx, Texts);
}

static EncodingAttr encodingOf(Type Ty) {
  return dyn_cast_or_null<EncodingAttr>(
      cast<RankedTensorType>(Ty).getEncoding());
}

Dims limosa::getDims(Type Ty) {
  auto Tensor = cast<RankedTensorType>(Ty);
  EncodingAttr Encoding = encodingOf(Ty);
  Dims Result;
  unsigned NextDynamic = 0;
  for (int64_t Size : Tensor.getShape()) {
    if (!ShapedType::isDynamic(Size)) {
      Result.push_back(DimExpr(Size));
      continue;
    }
    if (Encoding && NextDynamic < Encoding.getDims().size())
      Result.push_back(parseDim(Encoding.getDims()[NextDynamic].getValue()));
    else
      Result.push_back(DimExpr::symbol("$?"));
    ++NextDynamic;
  }
  return Result;
}

Dims limosa::getDims(Value V) { return getDims(V.getType()); }

DimExpr limosa::getDim(Type Ty, unsigned D) {
  auto Tensor = cast<RankedTensorType>(Ty);
  if (!Tensor.isDynamicDim(D))
    return DimExpr(Tensor.getDimSize(D));
  return getDims(Ty)[D];
}

static bool isIdentity(ArrayRef<int64_t> Order) {
  for (auto [I, O] : llvm::enumerate(Order))
    if (O != int64_t(I))
      return false;
  return true;
}

RankedTensorType limosa::makeTensorType(ArrayRef<DimExpr> Shape,
                                        Type ElementType,
                                        ArrayRef<int64_t> Order) {
  MLIRContext *Ctx = ElementType.getContext();
  SmallVector<int64_t> Sizes;
  SmallVector<StringAttr> Dynamic;
  for (const DimExpr &E : Shape) {
    if (auto C = E.constant(); C && *C >= 0) {
      Sizes.push_back(*C);
      continue;
    }
    Sizes.push_back(ShapedType::kDynamic);
    Dynamic.push_back(StringAttr::get(Ctx, E.toString()));
  }
  if (isIdentity(Order))
    Order = {};
  if (Dynamic.empty() && Order.empty())
    return RankedTensorType::get(Sizes, ElementType);
  return RankedTensorType::get(Sizes, ElementType,
                               EncodingAttr::get(Ctx, Dynamic, Order));
}

SmallVector<int64_t> limosa::getOrder(Type Ty) {
  EncodingAttr Encoding = encodingOf(Ty);
  if (Encoding && !Encoding.getOrder().empty())
    return llvm::to_vector(Encoding.getOrder());
  return llvm::to_vector(
      llvm::seq<int64_t>(0, cast<RankedTensorType>(Ty).getRank()));
}

bool limosa::isRowMajor(Type Ty) {
  EncodingAttr Encoding = encodingOf(Ty);
  return !Encoding || isIdentity(Encoding.getOrder());
}

RankedTensorType limosa::withOrder(RankedTensorType Ty,
                                   ArrayRef<int64_t> Order) {
  return makeTensorType(getDims(Ty), Ty.getElementType(), Order);
}

RankedTensorType limosa::withElementType(RankedTensorType Ty,
                                         Type ElementType) {
  return RankedTensorType::get(Ty.getShape(), ElementType, Ty.getEncoding());
}

bool limosa::sameShape(Type A, Type B) {
  auto TA = cast<RankedTensorType>(A), TB = cast<RankedTensorType>(B);
  if (TA.getShape() != TB.getShape())
    return false;
  EncodingAttr EA = encodingOf(A), EB = encodingOf(B);
  if (EA && EB)
    return EA.getDims() == EB.getDims();
  return TA.hasStaticShape() || (!EA && !EB);
}

bool limosa::sameLogicalType(Type A, Type B) {
  return cast<RankedTensorType>(A).getElementType() ==
             cast<RankedTensorType>(B).getElementType() &&
         sameShape(A, B);
}

DimExpr limosa::numElements(Type Ty) {
  DimExpr Product(1);
  for (const DimExpr &D : getDims(Ty))
    Product = Product * D;
  return Product;
}

DType limosa::getDType(Type Ty) {
  return TypeSwitch<Type, DType>(Ty)
      .Case<Float16Type>([](auto) { return DType::F16; })
      .Case<BFloat16Type>([](auto) { return DType::BF16; })
      .Case<Float32Type>([](auto) { return DType::F32; })
      .Case<Float64Type>([](auto) { return DType::F64; })
      .Case<Float8E4M3FNType>([](auto) { return DType::F8E4M3FN; })
      .Case<Float8E5M2Type>([](auto) { return DType::F8E5M2; })
      .Case<Float8E4M3FNUZType>([](auto) { return DType::F8E4M3FNUZ; })
      .Case<Float8E5M2FNUZType>([](auto) { return DType::F8E5M2FNUZ; })
      .Case<Float4E2M1FNType>([](auto) { return DType::F4E2M1FN; })
      .Case<StringType>([](auto) { return DType::String; })
      .Case<IntegerType>([](IntegerType I) {
        bool Unsigned = I.isUnsigned();
        switch (I.getWidth()) {
        case 1:
          return DType::Bool;
        case 4:
          return Unsigned ? DType::U4 : DType::I4;
        case 8:
          return Unsigned ? DType::U8 : DType::I8;
        case 16:
          return Unsigned ? DType::U16 : DType::I16;
        case 32:
          return Unsigned ? DType::U32 : DType::I32;
        case 64:
          return Unsigned ? DType::U64 : DType::I64;
        default:
          return DType::Invalid;
        }
      })
      .Default(DType::Invalid);
}

Type limosa::getElementType(MLIRContext *Ctx, DType T) {
  switch (T) {
  case DType::F16:
    return Float16Type::get(Ctx);
  case DType::BF16:
    return BFloat16Type::get(Ctx);
  case DType::F32:
    return Float32Type::get(Ctx);
  case DType::F64:
    return Float64Type::get(Ctx);
  case DType::F8E4M3FN:
    return Float8E4M3FNType::get(Ctx);
  case DType::F8E5M2:
    return Float8E5M2Type::get(Ctx);
  case DType::F8E4M3FNUZ:
    return Float8E4M3FNUZType::get(Ctx);
  case DType::F8E5M2FNUZ:
    return Float8E5M2FNUZType::get(Ctx);
  case DType::F4E2M1FN:
    return Float4E2M1FNType::get(Ctx);
  case DType::Bool:
    return IntegerType::get(Ctx, 1);
  case DType::String:
    return StringType::get(Ctx);
  case DType::Invalid:
    return {};
  default:
    return IntegerType::get(Ctx, dtypeBits(T),
                            dtypeClass(T) == DTypeClass::Unsigned
                                ? IntegerType::Unsigned
                                : IntegerType::Signless);
  }
}
