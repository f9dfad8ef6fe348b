//===- ModelInputs.cpp - Opsets, initializers and inputs of a model -------===//

#include "Importer.h"
#include "Tensors.h"
#include "limosa/IR/Symbols.h"

using namespace mlir;
using llvm::Expected;
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
    F.Names[T.name()] =
        Tensor::of(*Value, elementType(&Context, T.data_type()));
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

Expected<Type> Importer::inputType(const onnx::TypeProto &Declared,
                                   StringRef Name,
                                   const InputSpec::Shape *Given,
                                   const llvm::StringSet<> &BareSymbols) {
  if (!Declared.has_tensor_type())
    return makeError("is no tensor, sequence of tensors or optional of those");
  const onnx::TypeProto_Tensor &T = Declared.tensor_type();
  Type Element = elementType(&Context, T.elem_type());
  if (!Element)
    return makeError("holds elements of type " + dataTypeName(T.elem_type()) +
                     ", which is not supported");
  if (!T.has_shape() && !Given)
    return makeError("has no shape, so that not even its rank is known; give "
                     "it one with the flag input." +
                     Name + "=<shape>");
  bool Fits =
      !Given || !T.has_shape() || int(Given->size()) == T.shape().dim_size();
  if (!Fits)
    return makeError("is given a shape of another rank than it declares");
  size_t Rank = Given ? Given->size() : T.shape().dim_size();
  if (Rank > 64)
    return makeError("has more than 64 dimensions");
  Dims Shape;
  for (size_t D = 0; D < Rank; ++D) {
    if (Given && (*Given)[D])
      Shape.push_back(DimExpr(*(*Given)[D]));
    else
      Shape.push_back(inputDim(T.has_shape()
                                   ? T.shape().dim(int(D))
                                   : onnx::TensorShapeProto_Dimension(),
                               Name, D, BareSymbols));
  }
  return makeTensorType(Shape, carrierOf(Element));
}

Expected<std::function<Tensor(ValueRange)>>
Importer::inputArguments(const onnx::ValueInfoProto &Info,
                         const llvm::StringSet<> &BareSymbols,
                         SmallVectorImpl<Argument> &Arguments) {
  const onnx::TypeProto *Declared = &Info.type();
  bool Optional = Declared->has_optional_type();
  if (Optional)
    Declared = &Declared->optional_type().elem_type();
  std::optional<InputSpec> Spec;
  auto Given = Options.Inputs.find(Info.name());
  if (Given != Options.Inputs.end()) {
    auto Parsed = InputSpec::parse(Given->second);
    if (!Parsed)
      return Parsed.takeError();
    Spec = std::move(*Parsed);
  }
  using Kind = InputSpec::Kind;
  if (Spec && Spec->K == Kind::Absent) {
    if (!Optional)
      return makeError("is no optional, it cannot be left out");
    return [](ValueRange) { return Tensor::absent(); };
  }
  if (Declared->has_sequence_type()) {
    if (!Spec || Spec->K != Kind::List)
      return makeError("is a sequence; say how many tensors of which shapes "
                       "with the flag input." +
                       Info.name() + "=[<shape>;<shape>...]");
    for (auto [K, Shape] : llvm::enumerate(Spec->Shapes)) {
      std::string Name = Info.name() + "[" + std::to_string(K) + "]";
      auto Ty = inputType(Declared->sequence_type().elem_type(), Name, &Shape,
                          BareSymbols);
      if (!Ty)
        return Ty.takeError();
      Arguments.push_back({Name, *Ty});
    }
    return [](ValueRange Vs) {
      Sequence S;
      for (Value V : Vs)
        S.Parts.push_back({Tensor::of(V), /*Run=*/false});
      return Tensor::of(std::move(S));
    };
  }
  if (Spec && Spec->K == Kind::List)
    return makeError("is no sequence");
  if (Spec && Spec->K == Kind::Value) {
    auto V = Spec->value(&Context, Declared->tensor_type());
    if (!V)
      return V.takeError();
    return [A = *V](ValueRange) { return Tensor::of(A); };
  }
  auto Ty = inputType(*Declared, Info.name(),
                      Spec ? &Spec->Shapes.front() : nullptr, BareSymbols);
  if (!Ty)
    return Ty.takeError();
  Arguments.push_back({Info.name(), *Ty});
  Type Element = elementType(&Context, Declared->tensor_type().elem_type());
  return [Element](ValueRange Vs) { return Tensor::of(Vs.front(), Element); };
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
  for (const auto &Spec : Options.Inputs)
    if (!Seen.contains(Spec.first()))
      return fatal("has no input '" + Spec.first() +
                   "', of which the flag input." + Spec.first() + " speaks");
  SmallVector<Argument> Arguments;
  SmallVector<std::pair<size_t, std::function<Tensor(ValueRange)>>> Made;
  for (const onnx::ValueInfoProto *In : Inputs) {
    size_t First = Arguments.size();
    auto Make = inputArguments(*In, BareSymbols, Arguments);
    if (!Make)
      return fatal("input '" + In->name() + "' " + toString(Make.takeError()));
    Made.push_back({First, std::move(*Make)});
  }
  SmallVector<Type> Types;
  for (const Argument &A : Arguments)
    Types.push_back(A.Type);
  Location Loc = NameLoc::get(Builder.getStringAttr(
      Graph.name().empty() ? StringRef("model") : StringRef(Graph.name())));
  Builder.setInsertionPointToEnd(Module->getBody());
  auto Func = func::FuncOp::create(Builder, Loc, Options.EntryName,
                                   Builder.getFunctionType(Types, {}));
  Func->setAttr(EntryAttrName, Builder.getUnitAttr());
  EntryBlock = Func.addEntryBlock();
  Builder.setInsertionPointToEnd(EntryBlock);
  for (auto [I, A] : llvm::enumerate(Arguments)) {
    bool Parameter = F.Names.contains(A.Name);
    Func.setArgAttr(I, NameAttrName, Builder.getStringAttr(A.Name));
    Func.setArgAttr(I, KindAttrName,
                    Builder.getStringAttr(Parameter ? "parameter" : "input"));
  }
  ValueRange All = EntryBlock->getArguments();
  for (auto [K, In] : llvm::enumerate(Inputs)) {
    auto &[First, Make] = Made[K];
    size_t End = K + 1 < Made.size() ? Made[K + 1].first : All.size();
    F.Names[In->name()] = Make(All.slice(First, End - First));
  }
  return Func;
}

SmallVector<StringRef> Importer::inputsBehind(const Tensor &T) {
  // What gave the symbols their values.
  llvm::StringMap<Value> Bound;
  Module->walk([&](BindSymbolOp Op) { Bound[Op.getSymbol()] = Op.getValue(); });
  SmallVector<Value> Work;
  auto addSymbols = [&](const DimExpr &E) {
    for (const std::string &S : E.symbols())
      if (Value V = Bound.lookup(S))
        Work.push_back(V);
  };
  if (T.V)
    Work.push_back(T.V);
  if (T.Known)
    for (const KnownNumber &N : T.Known->Elements)
      addSymbols(N.Num);
  SmallVector<StringRef> Names;
  llvm::DenseSet<Value> Seen;
  auto Func = cast<func::FuncOp>(EntryBlock->getParentOp());
  while (!Work.empty()) {
    Value V = Work.pop_back_val();
    if (!Seen.insert(V).second)
      continue;
    if (Operation *Op = V.getDefiningOp()) {
      llvm::append_range(Work, Op->getOperands());
      if (auto Dim = dyn_cast<DimOp>(Op))
        if (auto E = DimExpr::parse(view(Dim.getExpr())))
          addSymbols(*E);
      continue;
    }
    auto Arg = cast<BlockArgument>(V);
    auto Type = dyn_cast<RankedTensorType>(V.getType());
    if (Arg.getOwner() == EntryBlock && Type && Type.getRank() <= 1)
      Names.push_back(
          Func.getArgAttrOfType<StringAttr>(Arg.getArgNumber(), NameAttrName)
              .getValue());
  }
  return Names;
}
