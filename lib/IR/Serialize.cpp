//===- Serialize.cpp - Functions to graph.fbs -----------------------------===//

#include "limosa/IR/Serialize.h"

#include "SerializeCommon.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Symbols.h"
#include "limosa/IR/Types.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace limosa;
using flatbuffers::Offset;

namespace {

using Functions = llvm::SetVector<func::FuncOp>;

llvm::Error failAt(Operation *Op, const Twine &What) {
  return llvm::createStringError("op '" + Op->getName().getStringRef() +
                                 "': " + What);
}

std::string locationText(Location Loc) {
  if (auto Name = dyn_cast<NameLoc>(Loc))
    return Name.getName().str();
  if (auto File = dyn_cast<FileLineColLoc>(Loc))
    return (File.getFilename().getValue() + ":" + Twine(File.getLine()) + ":" +
            Twine(File.getColumn()))
        .str();
  if (auto Site = dyn_cast<CallSiteLoc>(Loc))
    return locationText(Site.getCallee());
  std::string Text;
  if (auto Fused = dyn_cast<FusedLoc>(Loc))
    for (Location Part : Fused.getLocations())
      if (std::string One = locationText(Part); !One.empty())
        Text += (Text.empty() ? "" : ", ") + One;
  return Text;
}

/// Writes one function as one graph.
class GraphWriter {
public:
  GraphWriter(flatbuffers::FlatBufferBuilder &B, func::FuncOp Func,
              const SerializeOptions &Options, Functions &Callees)
      : B(B), Func(Func), Options(Options), Callees(Callees) {}

  llvm::Expected<Offset<fb::Graph>>
  write(ArrayRef<Offset<fb::Graph>> FunctionGraphs) {
    if (!Func.getBody().hasOneBlock())
      return llvm::createStringError("function '" + Func.getName() +
                                     "' does not have one block");
    auto Body = writeRegion(Func.getBody());
    if (!Body)
      return Body.takeError();
    auto Symbols = writeSymbols();
    std::vector<Offset<fb::Expr>> ExprTables;
    for (const std::string &Text : Exprs)
      ExprTables.push_back(fb::CreateExpr(B, B.CreateString(Text)));
    auto Name = B.CreateString(std::string_view(Func.getName()));
    auto ExprList = B.CreateVector(ExprTables);
    auto SymbolList = B.CreateVector(Symbols);
    auto ValueList = B.CreateVector(Values);
    auto FunctionList =
        FunctionGraphs.empty()
            ? Offset<flatbuffers::Vector<Offset<fb::Graph>>>()
            : B.CreateVector(FunctionGraphs.data(), FunctionGraphs.size());
    return fb::CreateGraph(B, Name, ExprList, SymbolList, ValueList, *Body,
                           FunctionList);
  }

private:
  uint32_t addExpr(StringRef Text) {
    auto [It, New] = ExprNumbers.try_emplace(Text, uint32_t(Exprs.size()));
    if (New) {
      Exprs.push_back(Text.str());
      parseDim(Text).collectSymbols(SymbolNames);
    }
    return It->second;
  }

  /// Numbers a value and writes its type.
  llvm::Error addValue(Value V, StringRef Name) {
    auto Ty = dyn_cast<RankedTensorType>(V.getType());
    DType T = Ty ? getDType(Ty.getElementType()) : DType::Invalid;
    if (T == DType::Invalid)
      return llvm::createStringError(
          "a value is not a ranked tensor of a known element type");
    std::vector<uint32_t> DimNumbers;
    for (const DimExpr &E : getDims(Ty)) {
      std::string Text = E.toString();
      if (Text == "$?")
        return llvm::createStringError(
            "a value has a dimension without an expression");
      DimNumbers.push_back(addExpr(Text));
    }
    std::vector<uint8_t> Order;
    if (!isRowMajor(Ty))
      for (int64_t D : getOrder(Ty))
        Order.push_back(uint8_t(D));
    Numbers[V] = uint32_t(Values.size());
    auto DimList = DimNumbers.empty() ? Offset<flatbuffers::Vector<uint32_t>>()
                                      : B.CreateVector(DimNumbers);
    auto OrderList = Order.empty() ? Offset<flatbuffers::Vector<uint8_t>>()
                                   : B.CreateVector(Order);
    auto NameText = Name.empty() ? Offset<flatbuffers::String>()
                                 : B.CreateSharedString(std::string_view(Name));
    Values.push_back(
        fb::CreateValue(B, uint8_t(T), DimList, OrderList, NameText));
    return llvm::Error::success();
  }

  /// The model's name of a value that the function takes or gives.
  StringRef valueName(Value V) {
    auto NameOf = [](Attribute A) {
      auto Text = dyn_cast_or_null<StringAttr>(A);
      return Text ? Text.getValue() : StringRef();
    };
    if (auto Arg = dyn_cast<BlockArgument>(V);
        Arg && Arg.getOwner() == &Func.getBody().front())
      return NameOf(Func.getArgAttr(Arg.getArgNumber(), NameAttrName));
    for (OpOperand &Use : V.getUses())
      if (isa<func::ReturnOp>(Use.getOwner()))
        return NameOf(Func.getResultAttr(Use.getOperandNumber(), NameAttrName));
    return {};
  }

  std::vector<uint32_t> numbersOf(ValueRange List) {
    std::vector<uint32_t> Result;
    for (Value V : List)
      Result.push_back(Numbers.lookup(V));
    return Result;
  }

  llvm::Expected<Offset<fb::Region>> writeRegion(Region &R) {
    if (!R.hasOneBlock())
      return llvm::createStringError("a region does not have one block");
    Block &Body = R.front();
    for (BlockArgument Arg : Body.getArguments())
      if (llvm::Error E = addValue(Arg, valueName(Arg)))
        return E;
    std::vector<Offset<fb::Op>> Ops;
    for (Operation &Op : Body.without_terminator()) {
      auto Written = writeOp(&Op);
      if (!Written)
        return Written.takeError();
      Ops.push_back(*Written);
    }
    auto Args = B.CreateVector(numbersOf(Body.getArguments()));
    auto OpList = B.CreateVector(Ops);
    auto Results =
        B.CreateVector(numbersOf(Body.getTerminator()->getOperands()));
    return fb::CreateRegion(B, Args, OpList, Results);
  }

  llvm::Expected<Offset<fb::Op>> writeOp(Operation *Op) {
    if (Op->getName().getDialectNamespace() != "limosa")
      return failAt(Op, "is not of the limosa dialect");
    StringRef Name = Op->getName().stripDialect();
    std::vector<Offset<fb::Attr>> Attrs;
    for (NamedAttribute A : Op->getAttrDictionary())
      if (llvm::Error E = writeAttr(Op, A.getName(), A.getValue(), Attrs))
        return E;
    std::vector<Offset<fb::Region>> Regions;
    for (Region &R : Op->getRegions()) {
      auto Written = writeRegion(R);
      if (!Written)
        return Written.takeError();
      Regions.push_back(*Written);
    }
    for (Value V : Op->getResults())
      if (llvm::Error E = addValue(V, valueName(V)))
        return failAt(Op, llvm::toString(std::move(E)));
    uint16_t Version = 1;
    if (auto Core = dyn_cast<CoreOp>(Op))
      Version = Core.getDefinitionVersion();
    std::string Location =
        Options.Locations ? locationText(Op->getLoc()) : std::string();
    auto NameText = B.CreateSharedString(std::string_view(Name));
    auto Operands = B.CreateVector(numbersOf(Op->getOperands()));
    auto Results = B.CreateVector(numbersOf(Op->getResults()));
    auto AttrList = B.CreateVector(Attrs);
    auto RegionList = B.CreateVector(Regions);
    auto LocationText = Location.empty() ? Offset<flatbuffers::String>()
                                         : B.CreateSharedString(Location);
    return fb::CreateOp(B, NameText, Version, Operands, Results, AttrList,
                        RegionList, LocationText);
  }

  llvm::Error writeAttr(Operation *Op, StringRef Name, Attribute A,
                        std::vector<Offset<fb::Attr>> &Out) {
    if (auto Dictionary = dyn_cast<DictionaryAttr>(A)) {
      for (NamedAttribute Entry : Dictionary)
        if (llvm::Error E =
                writeAttr(Op, (Name + "." + Entry.getName().getValue()).str(),
                          Entry.getValue(), Out))
          return E;
      return llvm::Error::success();
    }
    auto Key = B.CreateSharedString(std::string_view(Name));
    StringRef OpName = Op->getName().stripDialect();
    if (auto Text = dyn_cast<StringAttr>(A)) {
      if (isExpressionAttr(OpName, Name))
        return writeExprs(Key, {Text.getValue()}, Out);
      if (Name == "symbol")
        SymbolNames.insert(Text.str());
      return writeText(Key, fb::AttrKind::String, Text.getValue(), Out);
    }
    if (auto Ref = dyn_cast<FlatSymbolRefAttr>(A)) {
      auto Callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(Op, Ref);
      if (!Callee)
        return failAt(Op, "names no function: " + Ref.getValue());
      Callees.insert(Callee);
      return writeText(Key, fb::AttrKind::Function, Ref.getValue(), Out);
    }
    if (auto Direction = dyn_cast<CompareDirectionAttr>(A))
      return writeText(Key, fb::AttrKind::Enum,
                       stringifyCompareDirection(Direction.getValue()), Out);
    if (auto Elements = dyn_cast<ElementsAttr>(A);
        Elements && !isa<DenseArrayAttr>(A))
      return writeData(Op, Key, Elements, Out);
    if (auto Texts = dyn_cast<ArrayAttr>(A)) {
      std::vector<StringRef> List;
      for (Attribute Entry : Texts) {
        auto Text = dyn_cast<StringAttr>(Entry);
        if (!Text)
          return failAt(Op, "attribute '" + Name + "' cannot be serialised");
        List.push_back(Text.getValue());
      }
      if (!Name.contains('.')) // not an entry of a dictionary
        return writeExprs(Key, List, Out);
      std::vector<Offset<flatbuffers::String>> Strings;
      for (StringRef Text : List)
        Strings.push_back(B.CreateSharedString(std::string_view(Text)));
      auto StringList = B.CreateVector(Strings);
      fb::AttrBuilder Attr(B);
      Attr.add_strings(StringList);
      return finish(Attr, Key, fb::AttrKind::Strings, Out);
    }
    std::vector<int64_t> Ints;
    bool IsInts = true;
    if (auto List = dyn_cast<DenseI64ArrayAttr>(A))
      Ints.assign(List.asArrayRef().begin(), List.asArrayRef().end());
    else if (auto List = dyn_cast<DenseI32ArrayAttr>(A))
      Ints.assign(List.asArrayRef().begin(), List.asArrayRef().end());
    else
      IsInts = false;
    if (IsInts) {
      auto IntList = B.CreateVector(Ints);
      fb::AttrBuilder Attr(B);
      Attr.add_ints(IntList);
      return finish(Attr, Key, fb::AttrKind::Ints, Out);
    }
    if (auto List = dyn_cast<DenseF64ArrayAttr>(A)) {
      auto Floats =
          B.CreateVector(List.asArrayRef().data(), List.asArrayRef().size());
      fb::AttrBuilder Attr(B);
      Attr.add_floats(Floats);
      return finish(Attr, Key, fb::AttrKind::Floats, Out);
    }
    fb::AttrBuilder Attr(B);
    if (auto Bool = dyn_cast<BoolAttr>(A); Bool || isa<UnitAttr>(A)) {
      Attr.add_i(!Bool || Bool.getValue());
      return finish(Attr, Key, fb::AttrKind::Bool, Out);
    }
    if (auto Int = dyn_cast<IntegerAttr>(A);
        Int && Int.getValue().getSignificantBits() <= 64) {
      Attr.add_i(Int.getValue().getSExtValue());
      return finish(Attr, Key, fb::AttrKind::Int, Out);
    }
    if (auto Float = dyn_cast<FloatAttr>(A)) {
      Attr.add_f(Float.getValueAsDouble());
      return finish(Attr, Key, fb::AttrKind::Float, Out);
    }
    if (auto Ty = dyn_cast<TypeAttr>(A);
        Ty && getDType(Ty.getValue()) != DType::Invalid) {
      Attr.add_i(int64_t(getDType(Ty.getValue())));
      return finish(Attr, Key, fb::AttrKind::DType, Out);
    }
    Attr.add_name(Key);
    Attr.Finish(); // a table once begun must be ended
    return failAt(Op, "attribute '" + Name + "' cannot be serialised");
  }

  llvm::Error finish(fb::AttrBuilder &Attr, Offset<flatbuffers::String> Key,
                     fb::AttrKind Kind, std::vector<Offset<fb::Attr>> &Out) {
    Attr.add_name(Key);
    Attr.add_kind(Kind);
    Out.push_back(Attr.Finish());
    return llvm::Error::success();
  }

  llvm::Error writeText(Offset<flatbuffers::String> Key, fb::AttrKind Kind,
                        StringRef Text, std::vector<Offset<fb::Attr>> &Out) {
    auto Written = B.CreateSharedString(std::string_view(Text));
    fb::AttrBuilder Attr(B);
    Attr.add_s(Written);
    return finish(Attr, Key, Kind, Out);
  }

  llvm::Error writeExprs(Offset<flatbuffers::String> Key,
                         ArrayRef<StringRef> Texts,
                         std::vector<Offset<fb::Attr>> &Out) {
    std::vector<uint32_t> List;
    for (StringRef Text : Texts)
      List.push_back(addExpr(Text));
    auto Written = B.CreateVector(List);
    fb::AttrBuilder Attr(B);
    Attr.add_exprs(Written);
    return finish(Attr, Key, fb::AttrKind::Exprs, Out);
  }

  llvm::Error writeData(Operation *Op, Offset<flatbuffers::String> Key,
                        ElementsAttr Elements,
                        std::vector<Offset<fb::Attr>> &Out) {
    auto Bytes = elementsToBytes(Elements);
    if (!Bytes)
      return failAt(Op, llvm::toString(Bytes.takeError()));
    if (Bytes->size() > Options.MaxConstantBytes ||
        B.GetSize() + Bytes->size() > FLATBUFFERS_MAX_BUFFER_SIZE - (1 << 20))
      return failAt(Op, "the constant is too large to be kept in the graph (" +
                            Twine(Bytes->size()) + " bytes)");
    B.ForceVectorAlignment(Bytes->size(), 1, 16);
    auto Written = B.CreateVector(*Bytes);
    fb::AttrBuilder Attr(B);
    Attr.add_data(Written);
    return finish(Attr, Key, fb::AttrKind::Data, Out);
  }

  std::vector<Offset<fb::Symbol>> writeSymbols() {
    std::vector<Offset<fb::Symbol>> List;
    auto Module = Func->getParentOfType<ModuleOp>();
    for (const std::string &Name : SymbolNames) {
      SymbolAttr Info = getSymbolInfo(Module, Name);
      auto Bound = Info.getBound().empty()
                       ? Offset<flatbuffers::String>()
                       : B.CreateString(Info.getBound().str());
      auto NameText = B.CreateString(Name);
      List.push_back(fb::CreateSymbol(B, NameText, Info.getMin(), Info.getMax(),
                                      Info.getDivisor(), Bound));
    }
    return List;
  }

  flatbuffers::FlatBufferBuilder &B;
  func::FuncOp Func;
  const SerializeOptions &Options;
  Functions &Callees;
  llvm::DenseMap<Value, uint32_t> Numbers;
  std::vector<Offset<fb::Value>> Values;
  std::vector<std::string> Exprs;
  llvm::StringMap<uint32_t> ExprNumbers;
  std::set<std::string> SymbolNames;
};

} // namespace

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

/// Packs one element a byte to two elements a byte, low nibble first.
static std::vector<uint8_t> packNibbles(ArrayRef<char> Bytes) {
  std::vector<uint8_t> Packed((Bytes.size() + 1) / 2);
  for (size_t I = 0; I < Bytes.size(); ++I)
    Packed[I / 2] |= uint8_t((Bytes[I] & 15) << (I % 2 * 4));
  return Packed;
}

llvm::Expected<std::vector<uint8_t>>
limosa::elementsToBytes(ElementsAttr Elements) {
  auto Ty = cast<RankedTensorType>(Elements.getType());
  DType T = getDType(Ty.getElementType());
  int64_t Count = Ty.getNumElements();
  if (T == DType::Invalid)
    return llvm::createStringError("the element type cannot be serialised");
  ArrayRef<char> Raw;
  if (auto Resource = dyn_cast<DenseResourceElementsAttr>(Elements)) {
    AsmResourceBlob *Blob = Resource.getRawHandle().getBlob();
    if (!Blob)
      return llvm::createStringError("a constant's resource is missing");
    Raw = Blob->getData();
  } else if (auto Dense = dyn_cast<DenseElementsAttr>(Elements)) {
    if (T == DType::Bool) { // kept as bits
      std::vector<uint8_t> Bytes;
      for (bool V : Dense.getValues<bool>())
        Bytes.push_back(V);
      return Bytes;
    }
    Raw = Dense.getRawData();
    if (Dense.isSplat()) {
      std::vector<char> Bytes;
      Bytes.reserve(Raw.size() * Count);
      for (int64_t I = 0; I < Count; ++I)
        Bytes.insert(Bytes.end(), Raw.begin(), Raw.end());
      if (dtypeBits(T) == 4)
        return packNibbles(Bytes);
      return std::vector<uint8_t>(Bytes.begin(), Bytes.end());
    }
  } else {
    return llvm::createStringError(
        "only dense elements and resources can be serialised");
  }
  // A resource may already hold 4-bit elements packed.
  if (dtypeBits(T) == 4 && int64_t(Raw.size()) == Count)
    return packNibbles(Raw);
  if (int64_t(Raw.size()) != dtypeBytes(T, Count))
    return llvm::createStringError("a constant has %zu bytes instead of %lld",
                                   Raw.size(), (long long)dtypeBytes(T, Count));
  return std::vector<uint8_t>(Raw.begin(), Raw.end());
}

//===----------------------------------------------------------------------===//
// Entry points
//===----------------------------------------------------------------------===//

llvm::Expected<Offset<fb::Graph>>
limosa::serializeGraph(flatbuffers::FlatBufferBuilder &Builder,
                       func::FuncOp Func, const SerializeOptions &Options) {
  // Functions are found while writing; those they call come after them.
  Functions Callees;
  auto Write = [&](func::FuncOp F, ArrayRef<Offset<fb::Graph>> Bodies) {
    return GraphWriter(Builder, F, Options, Callees).write(Bodies);
  };
  Func.walk([&](Operation *Op) {
    for (NamedAttribute A : Op->getAttrDictionary())
      if (auto Ref = dyn_cast<FlatSymbolRefAttr>(A.getValue()))
        if (auto F =
                SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(Op, Ref))
          Callees.insert(F);
  });
  std::vector<Offset<fb::Graph>> Bodies;
  for (size_t I = 0; I < Callees.size(); ++I) {
    auto Body = Write(Callees[I], {});
    if (!Body)
      return Body.takeError();
    Bodies.push_back(*Body);
  }
  return Write(Func, Bodies);
}

llvm::Expected<std::vector<uint8_t>>
limosa::serializeGraph(func::FuncOp Func, const SerializeOptions &Options) {
  flatbuffers::FlatBufferBuilder Builder;
  auto Graph = serializeGraph(Builder, Func, Options);
  if (!Graph)
    return Graph.takeError();
  Builder.Finish(*Graph);
  return std::vector<uint8_t>(Builder.GetBufferPointer(),
                              Builder.GetBufferPointer() + Builder.GetSize());
}
