//===- ModelInputs.cpp - Opsets, initializers and inputs of a model
//--------===//

#include "Importer.h"
#include "Tensors.h"
#include "limosa/IR/Symbols.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

static std::string_view view(StringRef S) { return {S.data(), S.size()}; }

LogicalResult Importer::readOpsets() {
  const onnx::ModelProto &Model = File->proto();
  for (const auto &Import : Model.opset_import()) {
    StringRef Domain = Import.domain();
    Opsets[Domain == "ai.onnx" ? "" : Domain] = Import.version();
  }
  if (!Opsets.contains("")) {
    // Models of IR versions 1 and 2 do not say; those are opset 1.
    Opsets[""] = 1;
  }
  for (const onnx::FunctionProto &Fn : Model.functions()) {
    std::array<std::string, 3> Key{Fn.domain(), Fn.name(), Fn.overload()};
    Functions.emplace(Key, &Fn);
    auto &Map = FunctionOpsets[&Fn];
    for (const auto &Import : Fn.opset_import()) {
      StringRef Domain = Import.domain();
      Map[Domain == "ai.onnx" ? "" : Domain] = Import.version();
    }
  }
  return success();
}

LogicalResult Importer::readInitializers(const onnx::GraphProto &Graph,
                                         Frame &F) {
  for (const onnx::TensorProto &T : Graph.initializer()) {
    if (T.name().empty())
      return fatal("an initializer has no name");
    auto Value = readTensor(&Context, File, T);
    if (!Value)
      return fatal(toString(Value.takeError()));
    F.Names[T.name()] = Tensor::of(*Value);
  }
  for (const onnx::SparseTensorProto &T : Graph.sparse_initializer()) {
    auto Value = readSparseTensor(&Context, File, T);
    if (!Value)
      return fatal(toString(Value.takeError()));
    F.Names[T.values().name()] = Tensor::of(*Value);
  }
  return success();
}

DimExpr Importer::inputDim(const onnx::TensorShapeProto_Dimension &D,
                           StringRef Input, unsigned Index,
                           const llvm::StringSet<> &BareSymbols) {
  if (D.has_dim_value() && D.dim_value() >= 0)
    return DimExpr(D.dim_value());
  if (!D.has_dim_param() || D.dim_param().empty() || D.dim_param() == "?")
    return freshSymbol((Input + "_dim" + Twine(Index)).str());
  StringRef Param = D.dim_param();
  auto Fixed = Options.FixedDims.find(Param);
  if (Fixed != Options.FixedDims.end())
    return DimExpr(Fixed->second);
  // Exporters write "past + seq" where they know it. It can stand as it is when
  // the shapes of other inputs give all of its symbols.
  if (!DimExpr::isValidSymbol(view(Param)))
    if (auto E = DimExpr::parse(view(Param)); E && !E->constant()) {
      bool Bound = true;
      for (const std::string &S : E->symbols())
        Bound &= BareSymbols.contains(S) && !Options.FixedDims.contains(S);
      if (Bound)
        return *E;
    }
  std::string Name = sanitizeSymbol(Param);
  setSymbolInfo(*Module, Name, getSymbolInfo(*Module, Name));
  return DimExpr::symbol(Name);
}

Type Importer::inputType(const onnx::ValueInfoProto &Info,
                         const llvm::StringSet<> &BareSymbols,
                         std::string &Reason) {
  const onnx::TypeProto &T = Info.type();
  if (!T.has_tensor_type()) {
    Reason = "is no tensor (sequences, optionals and maps are not supported)";
    return Type();
  }
  int64_t DataType = T.tensor_type().elem_type();
  Type Element = elementType(&Context, DataType);
  if (!Element) {
    Reason = "holds elements of type " + dataTypeName(DataType) +
             ", which is not supported";
    return Type();
  }
  if (!T.tensor_type().has_shape()) {
    Reason = "has no shape, so that not even its rank is known";
    return Type();
  }
  if (T.tensor_type().shape().dim_size() > 64) {
    Reason = "has more than 64 dimensions";
    return Type();
  }
  Dims Shape;
  for (const auto &D : T.tensor_type().shape().dim())
    Shape.push_back(inputDim(D, Info.name(), Shape.size(), BareSymbols));
  return makeTensorType(Shape, Element);
}

FailureOr<func::FuncOp> Importer::makeFunction(Frame &F) {
  const onnx::GraphProto &Graph = File->proto().graph();
  if (failed(readInitializers(Graph, F)))
    return failure();
  SmallVector<const onnx::ValueInfoProto *> Inputs;
  llvm::StringSet<> BareSymbols, Seen;
  for (const onnx::ValueInfoProto &In : Graph.input()) {
    if (!Seen.insert(In.name()).second)
      return fatal("input '" + In.name() + "' is declared twice");
    if (F.Names.contains(In.name()) && !Options.InitializersAsInputs)
      continue;
    Inputs.push_back(&In);
    for (const auto &D : In.type().tensor_type().shape().dim())
      if (DimExpr::isValidSymbol(D.dim_param()))
        BareSymbols.insert(D.dim_param());
  }
  SmallVector<Type> Types;
  for (const onnx::ValueInfoProto *In : Inputs) {
    std::string Reason;
    Type Ty = inputType(*In, BareSymbols, Reason);
    if (!Ty)
      return fatal("input '" + In->name() + "' " + Reason);
    Types.push_back(Ty);
  }
  Location Loc = NameLoc::get(Builder.getStringAttr(
      Graph.name().empty() ? StringRef("model") : StringRef(Graph.name())));
  Builder.setInsertionPointToEnd(Module->getBody());
  auto Func = func::FuncOp::create(Builder, Loc, Options.EntryName,
                                   Builder.getFunctionType(Types, {}));
  Func->setAttr(EntryAttrName, Builder.getUnitAttr());
  EntryBlock = Func.addEntryBlock();
  Builder.setInsertionPointToEnd(EntryBlock);
  for (auto [I, In] : llvm::enumerate(Inputs)) {
    bool Parameter = F.Names.contains(In->name());
    Func.setArgAttr(I, NameAttrName, Builder.getStringAttr(In->name()));
    Func.setArgAttr(I, KindAttrName,
                    Builder.getStringAttr(Parameter ? "parameter" : "input"));
    F.Names[In->name()] = Tensor::of(Value(EntryBlock->getArgument(I)));
  }
  return Func;
}
