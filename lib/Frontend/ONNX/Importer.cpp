//===- Importer.cpp - The walk over an ONNX model -------------------------===//

#include "Importer.h"
#include "Custom.h"
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
// Nodes
//===----------------------------------------------------------------------===//

LogicalResult Importer::importNodes(ArrayRef<const onnx::NodeProto *> Nodes,
                                    Frame &F, ArrayRef<GraphOutput> Outputs) {
  for (size_t I = 0; I < Nodes.size(); ++I) {
    if (failed(importNode(*Nodes[I], F)))
      return failure();
    if (RefusalsBeforeFork && numRefusals() > *RefusalsBeforeFork)
      return failure();
    if (Pending)
      return importFork(Nodes.drop_front(I + 1), F, Outputs);
  }
  return success();
}

LogicalResult Importer::continueNodes(ArrayRef<const onnx::NodeProto *> Nodes,
                                      Frame &F, ArrayRef<GraphOutput> Outputs) {
  return Pending ? importFork(Nodes, F, Outputs)
                 : importNodes(Nodes, F, Outputs);
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
  if (!N.has(0) || isCarried(N.elem(0)))
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
  Dims NonNegative;
  auto require = [&](const DimExpr &E) { NonNegative.push_back(E); };
  KnownQuery Q{Op,      N.Opset,  Inputs,   N.elem(0), Result,
               readInt, readInts, readAttr, require};
  if (Op == "ConstantOfShape" && N.hasAttr("value") && !readAttr("value"))
    return success();
  KnownRef Value = Result && Result.isIntOrFloat() && !isCarried(Result)
                       ? evalKnown(Q)
                       : nullptr;
  if (!Value)
    return success();
  for (const DimExpr &E : NonNegative)
    AssertExprOp::create(
        Builder, N.B.loc(), Builder.getStringAttr(E.toString()),
        Builder.getStringAttr(DimExpr::max(E, DimExpr(0)).toString()),
        Builder.getStringAttr(N.op() + " '" + N.name() +
                              "': a size is too small for the model"));
  N.out(0, Tensor::of(Value, Result));
  Done = true;
  return success();
}

/// The outputs' names are there from now on, without a type as long as nothing
/// sets them. `Poisoned`: an input could not be imported.
LogicalResult Importer::readInputs(Node &N, bool &Poisoned) {
  for (const std::string &O : N.P.output())
    if (!O.empty())
      N.F.Names[O] = Tensor();
  Poisoned = false;
  for (auto [K, Name] : llvm::enumerate(N.P.input())) {
    if (Name.empty())
      continue;
    if (!N.has(K))
      return fatal("node '" + N.name() + "' (" + N.op() + ") reads '" + Name +
                   "', which nothing produces");
    Poisoned |= !N.tensor(K);
  }
  return success();
}

/// What the user registered for a node: of several versions the newest that the
/// model may mean. Within an operator's own body its name is another's.
const limosa_operator *Importer::findCustom(const onnx::NodeProto &P,
                                            int64_t Opset) const {
  StringRef Domain = P.domain().empty() ? "ai.onnx" : StringRef(P.domain());
  const limosa_operator *Best = nullptr;
  for (const limosa_operator *Op : Options.Operators)
    if (Domain == Op->domain && P.op_type() == Op->name &&
        (Opset == 0 || Op->since_version <= Opset) &&
        (!Best || Best->since_version < Op->since_version) &&
        !llvm::is_contained(ExpandingCustom, Op))
      Best = Op;
  return Best;
}

LogicalResult Importer::importCustom(const onnx::NodeProto &P,
                                     const limosa_operator &Op, Frame &F) {
  Node N(*this, P, F, Op.since_version);
  bool Poisoned = false;
  if (failed(readInputs(N, Poisoned)))
    return failure();
  if (Poisoned)
    return success();
  if (ExpandingCustom.size() >= MaxDepth)
    return fatal("bodies of operators are nested more than " + Twine(MaxDepth) +
                 " deep");
  size_t Before = Refusals.size();
  ExpandingCustom.push_back(&Op);
  LogicalResult Result = importCustomOperator(N, Op);
  ExpandingCustom.pop_back();
  if (!Fatal.empty())
    return failure();
  if (failed(Result) && Refusals.size() == Before)
    refuse(P, N.Opset, "cannot be translated");
  return success();
}

LogicalResult Importer::importNode(const onnx::NodeProto &P, Frame &F) {
  if (--NodeBudget < 0)
    return fatal("the model expands to more than 4 million nodes");
  int64_t Opset = F.opset(P.domain());
  if (const limosa_operator *Custom = findCustom(P, Opset))
    return importCustom(P, *Custom, F);
  std::array<std::string, 3> Key{P.domain(), P.op_type(), P.overload()};
  auto Fn = Functions.find(Key);
  if (Fn != Functions.end())
    return expandFunction(P, *Fn->second, F);

  const bool MayName = P.domain() != InternalDomain || OwnNodes.contains(&P);
  const OpEntry *Entry =
      MayName ? findOp(P.domain(), P.op_type(), Opset) : nullptr;
  Node N(*this, P, F, Entry ? Entry->Since : Opset);
  bool Poisoned = false;
  if (failed(readInputs(N, Poisoned)))
    return failure();
  if (!Entry) {
    auto Lowest = lowestVersion(P.domain(), P.op_type());
    if (!MayName)
      refuse(P, Opset, "names an operator of Limosa's own");
    else if (Opset == 0)
      refuse(P, Opset,
             "the model imports no operator set of domain '" + P.domain() +
                 "'");
    else if (Lowest)
      refuse(P, Opset,
             "needs operator set " + Twine(*Lowest) +
                 " or later; convert the model with onnx.version_converter");
    else
      refuse(P, Opset, UnknownOperator);
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
  // Sequences come first, or anywhere where any number of inputs may come.
  for (unsigned K = 0; K < N.numInputs(); ++K) {
    bool Taken = (Entry->Types & Sequences) && (K == 0 || Entry->MaxInputs < 0);
    if (N.has(K) && N.type(K) && isCarried(N.elem(K)) &&
        !(Entry->Types & CarriedTypes))
      return refuse(P, Opset,
                    "elements of type " + typeName(N.elem(K)) +
                        " are not supported"),
             success();
    if (N.has(K) && N.tensor(K).Seq && !Taken)
      return refuse(P, Opset, "input " + Twine(K) + " is a sequence"),
             success();
    if (N.has(K) && N.tensor(K).Absent && !Taken)
      return refuse(P, Opset,
                    "input " + Twine(K) + " is an optional without a value"),
             success();
  }
  if (N.has(0) && N.type(0) && (Entry->Types & AnyOrString) &&
      !(typeClass(N.elem(0)) & Entry->Types))
    return refuse(P, Opset,
                  "elements of type " + typeName(N.elem(0)) +
                      " are not supported"),
           success();

  for (unsigned K = 1; K < N.numInputs(); ++K)
    if (N.has(K) && N.type(K) && isa<StringType>(N.elem(K)) &&
        !(Entry->MoreStrings >> std::min(K, 7u) & 1))
      return refuse(P, Opset, "input " + Twine(K) + " holds strings"),
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
  SmallVector<GraphOutput> Outputs;
  for (const std::string &Name : Fn.output())
    Outputs.push_back({Name, std::nullopt});
  LogicalResult Result = importNodes(*Order, Inner, Outputs);
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
  if (failed(importNodes(*Order, F, graphOutputs(Graph))))
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
  SmallVector<std::string> Names;
  for (const onnx::ValueInfoProto &O : Graph.output()) {
    Tensor *T = F.find(O.name());
    if (!T)
      return fatal("output '" + O.name() + "' is produced by nothing");
    if (!*T)
      continue; // A refusal says why.
    if (T->Absent)
      continue;
    if (!T->Seq) {
      Results.push_back(materialize(*T, Func.getLoc()));
      Names.push_back(O.name());
      continue;
    }
    // A result per part; those of a run are one, named with a star.
    for (auto [K, Part] : llvm::enumerate(T->Seq->Parts)) {
      Tensor Element = Part.T;
      Results.push_back(materialize(Element, Func.getLoc()));
      Names.push_back(O.name() + "[" + std::to_string(K) +
                      (Part.Run ? "*]" : "]"));
    }
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
  if (failed(importNodes(*Order, F, graphOutputs(Graph))) ||
      failed(finish(*Func, F)))
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
