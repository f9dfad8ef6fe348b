//===- Importer.cpp - The walk over an ONNX model -------------------------===//

#include "Importer.h"
#include "Registry.h"
#include "Tensors.h"
#include "limosa/IR/Symbols.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;
using llvm::Error;
using llvm::Expected;
using llvm::isAlnum;
using llvm::isAlpha;
using llvm::MemoryBuffer;
using llvm::SaveAndRestore;
using namespace limosa;
using namespace limosa::onnximport;

/// Graphs in graphs and functions in functions, at most.
static constexpr unsigned MaxDepth = 64;
/// Refusals that the error lists.
static constexpr size_t MaxListed = 200;

static std::string_view view(StringRef S) { return {S.data(), S.size()}; }

std::string limosa::onnximport::sanitizeSymbol(StringRef Name) {
  std::string Out;
  for (char C : Name)
    Out += isAlnum(C) || C == '_' || C == '.' ? C : '_';
  if (Out.empty() || !(isAlpha(Out[0]) || Out[0] == '_'))
    Out = "d" + Out;
  if (!DimExpr::isValidSymbol(Out))
    Out += "_";
  return Out;
}

Tensor Tensor::of(KnownRef K, mlir::Type ElementType) {
  Tensor T;
  T.Type = RankedTensorType::get(K->Shape, ElementType);
  T.Known = std::move(K);
  return T;
}

Tensor *Frame::find(StringRef Name) {
  for (Frame *F = this; F; F = F->Parent) {
    auto It = F->Names.find(Name);
    if (It != F->Names.end())
      return &It->second;
  }
  return nullptr;
}

int64_t Frame::opset(StringRef Domain) const {
  auto It = Opsets->find(Domain == "ai.onnx" ? "" : Domain);
  return It == Opsets->end() ? 0 : It->second;
}

Importer::Importer(MLIRContext &Context, std::shared_ptr<ModelFile> File,
                   const OnnxImportOptions &Options)
    : Context(Context), File(std::move(File)), Options(Options),
      Builder(&Context) {}

LogicalResult Importer::fatal(const Twine &Message) {
  if (Fatal.empty())
    Fatal = Message.str();
  return failure();
}

void Importer::refuse(const onnx::NodeProto &N, int64_t Version,
                      const Twine &Reason) {
  if (!Refused.insert(&N).second)
    return;
  std::string Name = N.name();
  if (Name.empty() && N.output_size())
    Name = "-> " + N.output(0);
  Refusals.push_back({Name, N.op_type(), N.domain(), Reason.str(), Version});
}

std::string Importer::refusalMessage() const {
  std::string Text;
  llvm::raw_string_ostream OS(Text);
  OS << Refusals.size() << (Refusals.size() == 1 ? " node" : " nodes")
     << " cannot be imported:";
  for (const Refusal &R : ArrayRef(Refusals).take_front(MaxListed)) {
    OS << "\n  " << R.Op << " '" << R.Name << "' (";
    if (!R.Domain.empty() && R.Domain != "ai.onnx")
      OS << R.Domain << ", ";
    OS << "version " << R.Version << "): " << R.Reason;
  }
  if (Refusals.size() > MaxListed)
    OS << "\n  ... and " << Refusals.size() - MaxListed << " more";
  return Text;
}

DimExpr Importer::freshSymbol(StringRef Hint, const DimExpr *Bound,
                              int64_t Min) {
  auto Info = SymbolAttr::get(&Context, Min, INT64_MAX, 1,
                              Bound ? Bound->toString() : "");
  std::string Name = makeFreshSymbol(*Module, sanitizeSymbol(Hint), Info);
  FreshSymbols.push_back(Name);
  return DimExpr::symbol(Name);
}

bool Importer::usesSymbolsSince(const DimExpr &E, size_t Mark) const {
  auto Symbols = E.symbols();
  return llvm::any_of(ArrayRef(FreshSymbols).drop_front(Mark),
                      [&](const std::string &S) { return Symbols.count(S); });
}

//===----------------------------------------------------------------------===//
// The model's frame: opsets, inputs, initialisers
//===----------------------------------------------------------------------===//

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

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

KnownRef Importer::known(Tensor &T) {
  if (!T.Known && T.Const && !T.KnownTried) {
    T.KnownTried = true;
    T.Known = readKnown(T.Const);
  }
  return T.Known;
}

/// Bits of an exact number in an element type; null if it does not fit.
static Attribute numberAttr(Type E, const KnownNumber &N) {
  int64_t V = *N.Num.constant();
  if (auto F = dyn_cast<FloatType>(E))
    return FloatAttr::get(F, double(V) / double(N.Den));
  return IntegerAttr::get(E, APInt(E.getIntOrFloatBitWidth(), uint64_t(V),
                                   /*isSigned=*/false, /*implicitTrunc=*/true));
}

static Value materializeKnown(CoreBuilder &B, const KnownTensor &T, Type E) {
  if (llvm::all_of(T.Elements, [](const KnownNumber &N) {
        return N.Num.constant().has_value();
      })) {
    SmallVector<Attribute> Values;
    for (const KnownNumber &N : T.Elements)
      Values.push_back(numberAttr(E, N));
    return B.constant(
        DenseElementsAttr::get(RankedTensorType::get(T.Shape, E), Values));
  }
  SmallVector<Value> Parts;
  for (const KnownNumber &N : T.Elements) {
    Value V = B.convert(B.dim(N.Num), E);
    if (N.Den != 1)
      V = B.mulScalar(V, 1.0 / double(N.Den));
    Parts.push_back(B.reshape(V, {DimExpr(1)}));
  }
  Value All = B.concat(Parts, 0);
  Dims Shape;
  for (int64_t D : T.Shape)
    Shape.push_back(DimExpr(D));
  return B.reshape(All, Shape);
}

Value Importer::materialize(Tensor &T, Location Loc) {
  if (T.V)
    return T.V;
  CoreBuilder B(Builder, Loc);
  if (T.Const) {
    OpBuilder::InsertionGuard Guard(Builder);
    if (LastConstant)
      Builder.setInsertionPointAfter(LastConstant);
    else
      Builder.setInsertionPointToStart(EntryBlock);
    T.V = B.constant(T.Const);
    LastConstant = T.V.getDefiningOp();
    return T.V;
  }
  Value V = materializeKnown(B, *T.Known, T.Type.getElementType());
  // A value made in a region is not seen outside of it.
  if (Builder.getInsertionBlock() == EntryBlock)
    T.V = V;
  return V;
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

/// Names that a graph reads from the graphs around it.
static void collectCaptures(const onnx::GraphProto &Graph,
                            SmallVectorImpl<StringRef> &Out) {
  for (const onnx::NodeProto &N : Graph.node()) {
    for (const std::string &In : N.input())
      Out.push_back(In);
    for (const onnx::AttributeProto &A : N.attribute()) {
      if (A.has_g())
        collectCaptures(A.g(), Out);
      for (const onnx::GraphProto &G : A.graphs())
        collectCaptures(G, Out);
    }
  }
  for (const onnx::ValueInfoProto &O : Graph.output())
    Out.push_back(O.name());
}

std::optional<std::vector<const onnx::NodeProto *>>
limosa::onnximport::sortNodes(
    const google::protobuf::RepeatedPtrField<onnx::NodeProto> &Nodes,
    std::string &Cycle) {
  llvm::StringMap<int> Producer;
  for (int I = 0; I < Nodes.size(); ++I)
    for (const std::string &O : Nodes[I].output())
      if (!O.empty())
        Producer.try_emplace(O, I);
  // Kahn's algorithm; nodes that are ready are taken in the file's order.
  std::vector<std::vector<int>> Users(Nodes.size());
  std::vector<int> Missing(Nodes.size(), 0);
  bool Sorted = true;
  for (int I = 0; I < Nodes.size(); ++I) {
    SmallVector<StringRef> Reads(Nodes[I].input().begin(),
                                 Nodes[I].input().end());
    for (const onnx::AttributeProto &A : Nodes[I].attribute()) {
      if (A.has_g())
        collectCaptures(A.g(), Reads);
      for (const onnx::GraphProto &G : A.graphs())
        collectCaptures(G, Reads);
    }
    llvm::sort(Reads);
    Reads.erase(llvm::unique(Reads), Reads.end());
    for (StringRef R : Reads) {
      auto It = Producer.find(R);
      // A subgraph may give a name of its own to what this node makes.
      if (It == Producer.end() ||
          (It->second == I && !llvm::is_contained(Nodes[I].input(), R)))
        continue;
      Sorted &= It->second < I;
      Users[It->second].push_back(I);
      ++Missing[I];
    }
  }
  std::vector<const onnx::NodeProto *> Order;
  if (Sorted) {
    for (const onnx::NodeProto &N : Nodes)
      Order.push_back(&N);
    return Order;
  }
  std::vector<int> Heap; // smallest index first
  auto Later = std::greater<int>();
  for (int I = 0; I < Nodes.size(); ++I)
    if (Missing[I] == 0)
      Heap.push_back(I);
  std::make_heap(Heap.begin(), Heap.end(), Later);
  while (!Heap.empty()) {
    std::pop_heap(Heap.begin(), Heap.end(), Later);
    int I = Heap.back();
    Heap.pop_back();
    Order.push_back(&Nodes[I]);
    for (int U : Users[I])
      if (--Missing[U] == 0) {
        Heap.push_back(U);
        std::push_heap(Heap.begin(), Heap.end(), Later);
      }
  }
  if (int(Order.size()) == Nodes.size())
    return Order;
  for (int I = 0; I < Nodes.size(); ++I)
    if (Missing[I] > 0) {
      Cycle = Nodes[I].name().empty() && Nodes[I].output_size()
                  ? Nodes[I].output(0)
                  : Nodes[I].name();
      break;
    }
  return std::nullopt;
}

LogicalResult Importer::importNodes(ArrayRef<const onnx::NodeProto *> Nodes,
                                    Frame &F) {
  for (const onnx::NodeProto *N : Nodes)
    if (failed(importNode(*N, F)))
      return failure();
  return success();
}

/// A Node's inputs are all known, and its operator has a rule: no code.
LogicalResult Importer::foldKnown(Node &N, bool &Done) {
  Done = false;
  if (N.numInputs() == 0 || N.numOutputs() != 1 || !hasKnownRule(N.op()))
    return success();
  SmallVector<KnownRef> Inputs;
  for (unsigned K = 0; K < N.numInputs(); ++K) {
    Inputs.push_back(N.has(K) ? known(N.tensor(K)) : nullptr);
    if (N.has(K) && !Inputs.back())
      return success();
  }
  if (!N.has(0))
    return success();
  Type Result = N.elem(0);
  StringRef Op = N.op();
  if (Op == "Cast")
    Result = elementType(&Context, N.attr("to", int64_t(0)));
  else if (Op == "Where" && N.has(1))
    Result = N.elem(1);
  else if (Op == "Equal" || Op == "Less" || Op == "LessOrEqual" ||
           Op == "Greater" || Op == "GreaterOrEqual")
    Result = Builder.getI1Type();
  else if (Op == "ConstantOfShape")
    Result = Builder.getF32Type();
  auto readAttr = [&](StringRef Name) -> KnownRef {
    const onnx::AttributeProto *A = N.findAttr(Name);
    if (!A || !A->has_t())
      return nullptr;
    auto T = readTensor(&Context, File, A->t());
    if (!T) {
      consumeError(T.takeError());
      return nullptr;
    }
    Result = T->getElementType();
    return readKnown(*T);
  };
  auto readInt = [&](StringRef Name, int64_t D) { return N.attr(Name, D); };
  auto readInts = [&](StringRef Name) { return N.ints(Name); };
  KnownQuery Q{Op,     N.Opset, Inputs,   N.elem(0),
               Result, readInt, readInts, readAttr};
  if (Op == "ConstantOfShape" && N.hasAttr("value") && !readAttr("value"))
    return success();
  KnownRef Value = Result ? evalKnown(Q) : nullptr;
  if (!Value)
    return success();
  N.out(0, Tensor::of(Value, Result));
  Done = true;
  return success();
}

/// The operators inside of a node's graphs that have no translation: they are
/// listed even though the node itself is not imported.
void Importer::refuseUnknownInside(const onnx::NodeProto &N, Frame &F) {
  auto Visit = [&](const onnx::GraphProto &G, auto &Self) -> void {
    for (const onnx::NodeProto &Inner : G.node()) {
      int64_t Version = F.opset(Inner.domain());
      std::array<std::string, 3> Key{Inner.domain(), Inner.op_type(),
                                     Inner.overload()};
      if (!Functions.count(Key) &&
          !findOp(Inner.domain(), Inner.op_type(), Version))
        refuse(Inner, Version, "operator not supported");
      for (const onnx::AttributeProto &A : Inner.attribute())
        if (A.has_g())
          Self(A.g(), Self);
    }
  };
  for (const onnx::AttributeProto &A : N.attribute())
    if (A.has_g())
      Visit(A.g(), Visit);
}

LogicalResult Importer::importNode(const onnx::NodeProto &P, Frame &F) {
  if (--NodeBudget < 0)
    return fatal("the model expands to more than 4 million nodes");
  std::array<std::string, 3> Key{P.domain(), P.op_type(), P.overload()};
  auto Fn = Functions.find(Key);
  if (Fn != Functions.end())
    return expandFunction(P, *Fn->second, F);

  int64_t Opset = F.opset(P.domain());
  const OpEntry *Entry = findOp(P.domain(), P.op_type(), Opset);
  Node N(*this, P, F, Entry ? Entry->Since : Opset);
  // Outputs that nothing sets stay without a type.
  for (const std::string &O : P.output())
    if (!O.empty())
      F.Names[O] = Tensor();

  bool Poisoned = false;
  for (auto [K, Name] : llvm::enumerate(P.input())) {
    if (Name.empty())
      continue;
    if (!N.has(K))
      return fatal("node '" + N.name() + "' (" + N.op() + ") reads '" + Name +
                   "', which nothing produces");
    Poisoned |= !N.tensor(K);
  }
  if (!Entry) {
    auto Lowest = lowestVersion(P.domain(), P.op_type());
    if (Opset == 0)
      refuse(P, Opset,
             "the model imports no operator set of domain '" + P.domain() +
                 "'");
    else if (Lowest)
      refuse(P, Opset,
             "needs operator set " + Twine(*Lowest) +
                 " or later; convert the model with onnx.version_converter");
    else
      refuse(P, Opset, "operator not supported");
    refuseUnknownInside(P, F);
    return success();
  }
  if (Poisoned) {
    refuseUnknownInside(P, F);
    return success();
  }
  for (int K = 0; K < Entry->MinInputs; ++K)
    if (!N.has(K))
      return refuse(P, Opset, "input " + Twine(K) + " is missing"), success();
  if (Entry->MaxInputs >= 0 && int(N.numInputs()) > Entry->MaxInputs)
    return refuse(P, Opset,
                  "has " + Twine(N.numInputs()) + " inputs, at most " +
                      Twine(Entry->MaxInputs) + " are allowed"),
           success();
  if (N.has(0) && !(typeClass(N.elem(0)) & Entry->Types))
    return refuse(P, Opset,
                  "elements of type " + typeName(N.elem(0)) +
                      " are not supported"),
           success();

  bool Done = false;
  if ((P.domain().empty() || P.domain() == "ai.onnx") &&
      failed(foldKnown(N, Done)))
    return failure();
  if (Done)
    return success();
  size_t Before = Refusals.size();
  if (failed(Entry->Handle(N))) {
    if (!Fatal.empty())
      return failure();
    if (Refusals.size() == Before)
      refuse(P, Opset, "cannot be translated");
  }
  return success();
}

LogicalResult Importer::expandFunction(const onnx::NodeProto &P,
                                       const onnx::FunctionProto &Fn,
                                       Frame &F) {
  if (llvm::is_contained(Expanding, &Fn))
    return fatal("function '" + Fn.name() + "' calls itself");
  if (Expanding.size() >= MaxDepth)
    return fatal("functions are nested more than " + Twine(MaxDepth) + " deep");
  if (P.input_size() > Fn.input_size() || P.output_size() > Fn.output_size())
    return refuse(P, F.opset(P.domain()),
                  "has more inputs or outputs than the function it calls"),
           success();
  Frame Inner;
  Inner.Opsets = &FunctionOpsets[&Fn];
  Node Call(*this, P, F, 0);
  Frame::Attributes Attrs;
  for (const onnx::AttributeProto &A : Fn.attribute_proto())
    Attrs[A.name()] = &A;
  for (const onnx::AttributeProto &A : P.attribute())
    if (const onnx::AttributeProto *Resolved = Call.findAttr(A.name()))
      Attrs[A.name()] = Resolved;
  Inner.FunctionAttrs = &Attrs;
  for (auto [K, Name] : llvm::enumerate(P.input())) {
    if (Name.empty())
      continue;
    if (!Call.has(K))
      return fatal("node '" + P.name() + "' (" + P.op_type() + ") reads '" +
                   Name + "', which nothing produces");
    Inner.Names[Fn.input(int(K))] = Call.tensor(K);
  }
  std::string Cycle;
  auto Order = sortNodes(Fn.node(), Cycle);
  if (!Order)
    return fatal("the nodes of function '" + Fn.name() +
                 "' form a cycle through '" + Cycle + "'");
  Expanding.push_back(&Fn);
  LogicalResult Result = importNodes(*Order, Inner);
  Expanding.pop_back();
  if (failed(Result))
    return failure();
  for (int K = 0; K < P.output_size(); ++K) {
    if (P.output(K).empty())
      continue;
    Tensor *T = Inner.find(Fn.output(K));
    if (!T)
      return fatal("function '" + Fn.name() +
                   "' does not produce its output '" + Fn.output(K) + "'");
    F.Names[P.output(K)] = *T;
  }
  return success();
}

FailureOr<SmallVector<Tensor>>
Importer::importBody(const onnx::GraphProto &Graph, Frame &Parent,
                     ArrayRef<Tensor> Inputs) {
  SaveAndRestore Deeper(Depth, Depth + 1);
  if (Depth > MaxDepth)
    return fatal("graphs are nested more than " + Twine(MaxDepth) + " deep");
  Frame F;
  F.Parent = &Parent;
  F.Opsets = Parent.Opsets;
  F.FunctionAttrs = Parent.FunctionAttrs;
  if (failed(readInitializers(Graph, F)))
    return failure();
  for (auto [In, T] : llvm::zip(Graph.input(), Inputs))
    F.Names[In.name()] = T;
  std::string Cycle;
  auto Order = sortNodes(Graph.node(), Cycle);
  if (!Order)
    return fatal("the nodes of graph '" + Graph.name() +
                 "' form a cycle through '" + Cycle + "'");
  if (failed(importNodes(*Order, F)))
    return failure();
  SmallVector<Tensor> Outputs;
  for (const onnx::ValueInfoProto &O : Graph.output()) {
    Tensor *T = F.find(O.name());
    if (!T)
      return fatal("graph '" + Graph.name() +
                   "' does not produce its output '" + O.name() + "'");
    Outputs.push_back(*T);
  }
  return Outputs;
}

//===----------------------------------------------------------------------===//
// The whole
//===----------------------------------------------------------------------===//

LogicalResult Importer::finish(func::FuncOp Func, Frame &F) {
  const onnx::GraphProto &Graph = File->proto().graph();
  SmallVector<Value> Results;
  SmallVector<StringRef> Names;
  for (const onnx::ValueInfoProto &O : Graph.output()) {
    Tensor *T = F.find(O.name());
    if (!T)
      return fatal("output '" + O.name() + "' is produced by nothing");
    if (!*T)
      continue; // A refusal says why.
    Results.push_back(materialize(*T, Func.getLoc()));
    Names.push_back(O.name());
  }
  if (!Refusals.empty())
    return failure();
  func::ReturnOp::create(Builder, Func.getLoc(), Results);
  Func.setFunctionType(Builder.getFunctionType(Func.getArgumentTypes(),
                                               ValueRange(Results).getTypes()));
  for (auto [I, Name] : llvm::enumerate(Names))
    Func.setResultAttr(I, NameAttrName, Builder.getStringAttr(Name));
  return success();
}

Expected<OwningOpRef<ModuleOp>> Importer::run() {
  auto fail = [&]() -> Error {
    return makeError("'" + File->name() +
                     "': " + (Fatal.empty() ? refusalMessage() : Fatal));
  };
  Module = ModuleOp::create(NameLoc::get(Builder.getStringAttr(File->name())));
  Frame F;
  F.Opsets = &Opsets;
  if (failed(readOpsets()))
    return fail();
  auto Func = makeFunction(F);
  if (failed(Func))
    return fail();
  std::string Cycle;
  const onnx::GraphProto &Graph = File->proto().graph();
  auto Order = sortNodes(Graph.node(), Cycle);
  if (!Order)
    return makeError("'" + File->name() +
                     "': the nodes form a cycle through '" + Cycle + "'");
  if (failed(importNodes(*Order, F)) || failed(finish(*Func, F)))
    return fail();
  // What a handler let through is a fault of the model that it did not see, or
  // its own; either way it must not get further.
  std::string Diagnostics;
  ScopedDiagnosticHandler Handler(&Context, [&](Diagnostic &D) {
    if (Diagnostics.empty() && D.getSeverity() == DiagnosticSeverity::Error) {
      llvm::raw_string_ostream OS(Diagnostics);
      OS << D.getLocation() << ": " << D;
    }
    return success();
  });
  if (failed(verify(*Module)))
    return makeError("'" + File->name() +
                     "': imports to invalid code: " + Diagnostics);
  return std::move(Module);
}

static Expected<OwningOpRef<ModuleOp>>
importFile(MLIRContext &Context, std::shared_ptr<ModelFile> File,
           const OnnxImportOptions &Options) {
  Context.loadDialect<LimosaDialect, func::FuncDialect>();
  return Importer(Context, std::move(File), Options).run();
}

Expected<OwningOpRef<ModuleOp>>
limosa::importOnnx(MLIRContext &Context, StringRef Path,
                   const OnnxImportOptions &Options) {
  auto File = ModelFile::open(Path);
  if (!File)
    return File.takeError();
  return importFile(Context, std::move(*File), Options);
}

Expected<OwningOpRef<ModuleOp>>
limosa::importOnnxBytes(MLIRContext &Context, StringRef Bytes, StringRef Folder,
                        const OnnxImportOptions &Options) {
  auto File = ModelFile::parse(
      MemoryBuffer::getMemBuffer(Bytes, "", /*RequiresNullTerminator=*/false),
      Folder);
  if (!File)
    return makeError("the model " + toString(File.takeError()));
  return importFile(Context, std::move(*File), Options);
}
