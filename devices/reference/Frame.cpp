//===- Frame.cpp - Values, symbols and liveness of a running graph --------===//

#include "Frame.h"

#include "OpContext.h"

#include <algorithm>
#include <unistd.h>

using namespace limosa;
using namespace limosa::reference;
using runtime::SymbolExpr;

std::string limosa::reference::shapeText(const Shape &Dims) {
  std::string Text = "[";
  for (size_t I = 0; I < Dims.size(); ++I)
    Text += (I ? ", " : "") + std::to_string(Dims[I]);
  return Text + "]";
}

//===----------------------------------------------------------------------===//
// GraphInfo
//===----------------------------------------------------------------------===//

GraphInfo::GraphInfo(const limosa_graph_api &Api, const limosa_graph *Graph)
    : Api(Api), Graph(Graph) {
  for (uint32_t I = 0; I < Api.symbol_count(Graph); ++I)
    SymbolNumbers.emplace(Api.symbol_name(Graph, I), I);
}

std::optional<uint32_t> GraphInfo::findSymbol(std::string_view Name) const {
  auto It = SymbolNumbers.find(Name);
  return It == SymbolNumbers.end() ? std::nullopt : std::optional(It->second);
}

const SymbolExpr *GraphInfo::expr(std::string_view Text) {
  auto [It, New] = Exprs.try_emplace(std::string(Text));
  if (New) {
    std::string Error;
    It->second = SymbolExpr::parse(
        Text, [this](std::string_view Name) { return findSymbol(Name); },
        Error);
  }
  return It->second ? &*It->second : nullptr;
}

void GraphInfo::collectUses(const limosa_region *Region,
                            std::unordered_map<uint32_t, uint32_t> &LastUse,
                            uint32_t At) {
  for (uint32_t I = 0; I < Api.region_op_count(Region); ++I) {
    const limosa_op *Op = Api.region_op(Region, I);
    for (uint32_t J = 0; J < Api.op_operand_count(Op); ++J)
      LastUse[Api.op_operand(Op, J)] = At;
    for (uint32_t J = 0; J < Api.op_region_count(Op); ++J)
      collectUses(Api.op_region(Op, J), LastUse, At);
  }
  for (uint32_t I = 0; I < Api.region_result_count(Region); ++I)
    LastUse[Api.region_result(Region, I)] = At;
}

const RegionLiveness &GraphInfo::liveness(const limosa_region *Region) {
  auto [It, New] = Livenesses.try_emplace(Region);
  RegionLiveness &L = It->second;
  if (!New)
    return L;
  uint32_t Ops = Api.region_op_count(Region);
  std::unordered_map<uint32_t, uint32_t> LastUse;
  for (uint32_t I = 0; I < Ops; ++I) {
    const limosa_op *Op = Api.region_op(Region, I);
    for (uint32_t J = 0; J < Api.op_operand_count(Op); ++J)
      LastUse[Api.op_operand(Op, J)] = I;
    for (uint32_t J = 0; J < Api.op_region_count(Op); ++J)
      collectUses(Api.op_region(Op, J), LastUse, I);
  }
  for (uint32_t I = 0; I < Api.region_result_count(Region); ++I)
    LastUse[Api.region_result(Region, I)] = Ops;
  L.DieAfter.resize(Ops);
  auto Define = [&](uint32_t Value, uint32_t At) {
    L.Defined.push_back(Value);
    auto Use = LastUse.find(Value);
    uint32_t Dies = Use == LastUse.end() ? At : Use->second;
    if (Dies < Ops)
      L.DieAfter[Dies].push_back(Value);
  };
  for (uint32_t I = 0; I < Api.region_arg_count(Region); ++I)
    Define(Api.region_arg(Region, I), 0);
  for (uint32_t I = 0; I < Ops; ++I) {
    const limosa_op *Op = Api.region_op(Region, I);
    for (uint32_t J = 0; J < Api.op_result_count(Op); ++J)
      Define(Api.op_result(Op, J), I);
  }
  return L;
}

void GraphInfo::collectInternal(const limosa_region *Region) {
  auto Add = [&](std::string_view Name) {
    if (auto Symbol = findSymbol(Name))
      (*Internal)[*Symbol] = true;
  };
  auto AddDims = [&](uint32_t Value) {
    for (uint32_t D = 0; D < Api.value_rank(Graph, Value); ++D)
      Add(Api.value_dim_text(Graph, Value, D));
  };
  for (uint32_t I = 0; I < Api.region_op_count(Region); ++I) {
    const limosa_op *Op = Api.region_op(Region, I);
    std::string_view Name = Api.op_name(Op);
    if (Name == "bind_symbol" || Name == "compact") {
      if (const limosa_attr *A = Api.op_find_attr(Op, "symbol"))
        Add(Api.attr_string(A));
    } else if (Name == "if" || Name == "while" || Name == "composite") {
      for (uint32_t J = 0; J < Api.op_result_count(Op); ++J)
        AddDims(Api.op_result(Op, J));
    }
    for (uint32_t J = 0; J < Api.op_region_count(Op); ++J) {
      const limosa_region *Inner = Api.op_region(Op, J);
      for (uint32_t K = 0; K < Api.region_arg_count(Inner); ++K)
        AddDims(Api.region_arg(Inner, K));
      collectInternal(Inner);
    }
  }
}

const std::vector<bool> &GraphInfo::internalSymbols() {
  if (Internal)
    return *Internal;
  Internal.emplace(Api.symbol_count(Graph));
  const limosa_region *Body = Api.graph_body(Graph);
  collectInternal(Body);
  // What the shapes of the inputs are made of comes from outside after all.
  for (uint32_t I = 0; I < Api.region_arg_count(Body); ++I) {
    uint32_t Value = Api.region_arg(Body, I);
    for (uint32_t D = 0; D < Api.value_rank(Graph, Value); ++D)
      if (const SymbolExpr *E = expr(Api.value_dim_text(Graph, Value, D)))
        E->forEachSymbol([&](uint32_t S) { (*Internal)[S] = false; });
  }
  return *Internal;
}

//===----------------------------------------------------------------------===//
// Evaluation
//===----------------------------------------------------------------------===//

static int64_t machineMemory() {
  int64_t Pages = sysconf(_SC_PHYS_PAGES), Size = sysconf(_SC_PAGESIZE);
  return Pages > 0 && Size > 0 ? Pages * Size : int64_t(1) << 36;
}

Evaluation::Evaluation(const limosa_graph_api &Api, const limosa_graph *Root,
                       const EvaluateOptions &Options)
    : Api(Api), Root(Root), Options(Options),
      Budget(std::make_shared<MemoryBudget>(
          Options.MemoryLimit > 0 ? Options.MemoryLimit : machineMemory())) {}

GraphInfo &Evaluation::info(const limosa_graph *Graph) {
  auto &Info = Infos[Graph];
  if (!Info)
    Info = std::make_unique<GraphInfo>(Api, Graph);
  return *Info;
}

Status Evaluation::run(std::vector<Tensor> Inputs,
                       std::vector<Tensor> &Outputs) {
  return Frame(*this, info(Root)).run(std::move(Inputs), Outputs, nullptr);
}

Status Evaluation::call(std::string_view Function, std::vector<Tensor> Inputs,
                        std::vector<Tensor> &Outputs,
                        const SymbolLookup &CallerSymbols) {
  constexpr unsigned MaxDepth = 64;
  std::string Name(Function);
  const limosa_graph *Callee = Api.find_function(Root, Name.c_str());
  if (!Callee)
    return Status(LIMOSA_STATUS_INVALID_ARGUMENT,
                  "there is no function '" + Name + "'");
  if (Depth == MaxDepth)
    return Status(LIMOSA_STATUS_INVALID_ARGUMENT,
                  "functions call each other too deeply");
  ++Depth;
  Status S =
      Frame(*this, info(Callee)).run(std::move(Inputs), Outputs, CallerSymbols);
  --Depth;
  return S;
}

//===----------------------------------------------------------------------===//
// Frame
//===----------------------------------------------------------------------===//

Frame::Frame(Evaluation &E, GraphInfo &Info) : E(E), Info(Info) {
  Values.resize(Info.Api.value_count(Info.Graph));
  Symbols.resize(Info.Api.symbol_count(Info.Graph));
  Bound.resize(Symbols.size());
}

std::optional<int64_t> Frame::symbol(std::string_view Name) const {
  auto S = Info.findSymbol(Name);
  return S && Bound[*S] ? std::optional(Symbols[*S]) : std::nullopt;
}

bool Frame::isBound(const SymbolExpr &Expr) const {
  bool All = true;
  Expr.forEachSymbol([&](uint32_t S) { All &= Bound[S]; });
  return All;
}

std::optional<int64_t> Frame::evaluate(std::string_view Text) {
  const SymbolExpr *Expr = Info.expr(Text);
  int64_t Value;
  if (!Expr || !isBound(*Expr) || !Expr->evaluate(Symbols.data(), Value))
    return std::nullopt;
  return Value;
}

Status Frame::declaredShape(uint32_t Value, Shape &Out) {
  const limosa_graph_api &Api = Info.Api;
  Out.clear();
  for (uint32_t D = 0; D < Api.value_rank(Info.Graph, Value); ++D) {
    const char *Text = Api.value_dim_text(Info.Graph, Value, D);
    auto Size = evaluate(Text);
    if (!Size || *Size < 0)
      return Status(
          LIMOSA_STATUS_FAILED,
          "has a dimension '" + std::string(Text) +
              (Size ? "' that is negative here" : "' that has no value here"));
    Out.push_back(*Size);
  }
  return Status();
}

Status Frame::checkRange(uint32_t Symbol) const {
  int64_t Min = 0, Max = INT64_MAX, Divisor = 1, Size = Symbols[Symbol];
  Info.Api.symbol_range(Info.Graph, Symbol, &Min, &Max, &Divisor, nullptr);
  if (Size >= Min && Size <= Max && (Divisor <= 1 || Size % Divisor == 0))
    return Status();
  std::string Range =
      "[" + std::to_string(Min) + ", " + std::to_string(Max) + "]";
  if (Divisor > 1)
    Range += " in steps of " + std::to_string(Divisor);
  return Status(LIMOSA_STATUS_FAILED,
                "gives the dimension " +
                    std::string(Info.Api.symbol_name(Info.Graph, Symbol)) +
                    " the size " + std::to_string(Size) + ", not in " + Range);
}

Status Frame::bindSymbol(uint32_t Symbol, int64_t Size) {
  if (Bound[Symbol]) {
    if (Symbols[Symbol] == Size)
      return Status();
    return Status(LIMOSA_STATUS_FAILED,
                  "gives the dimension " +
                      std::string(Info.Api.symbol_name(Info.Graph, Symbol)) +
                      " the size " + std::to_string(Size) + ", but it is " +
                      std::to_string(Symbols[Symbol]));
  }
  Symbols[Symbol] = Size;
  Bound[Symbol] = true;
  return checkRange(Symbol);
}

Status Frame::define(uint32_t Value, Tensor T) {
  const limosa_graph_api &Api = Info.Api;
  DType Type = DType(Api.value_dtype(Info.Graph, Value));
  if (T.dtype() != Type)
    return Status(LIMOSA_STATUS_INVALID_ARGUMENT,
                  "is of dtype " + std::string(dtypeName(T.dtype())) +
                      ", but its type says " + std::string(dtypeName(Type)));
  uint32_t Rank = Api.value_rank(Info.Graph, Value);
  if (T.rank() != Rank)
    return Status(LIMOSA_STATUS_INVALID_ARGUMENT,
                  "has rank " + std::to_string(T.rank()) +
                      ", but its type says " + std::to_string(Rank));
  // Bare symbols first: other dimensions may be expressions of them.
  for (uint32_t D = 0; D < Rank; ++D) {
    const SymbolExpr *Expr =
        Info.expr(Api.value_dim_text(Info.Graph, Value, D));
    if (auto Symbol = Expr ? Expr->asSymbol() : std::nullopt)
      LIMOSA_TRY(bindSymbol(*Symbol, T.dim(D)));
  }
  for (uint32_t D = 0; D < Rank; ++D) {
    const char *Text = Api.value_dim_text(Info.Graph, Value, D);
    const SymbolExpr *Expr = Info.expr(Text);
    int64_t Size;
    // What is not bound yet is checked by the ops that need it.
    if (!Expr || !isBound(*Expr))
      continue;
    if (!Expr->evaluate(Symbols.data(), Size) || Size != T.dim(D))
      return Status(LIMOSA_STATUS_FAILED,
                    "has shape " + shapeText(T.dims()) + ", but dimension " +
                        std::to_string(D) + " should be " + Text);
  }
  Values[Value] = std::move(T);
  return Status();
}

Status Frame::prebind() {
  std::span<const int64_t> Given = E.Options.Symbols;
  if (Given.empty() || Info.Graph != E.Root)
    return Status();
  if (Given.size() != Symbols.size())
    return Status(LIMOSA_STATUS_INVALID_ARGUMENT,
                  "the graph has " + std::to_string(Symbols.size()) +
                      " symbols; " + std::to_string(Given.size()) +
                      " values were given");
  for (size_t I = 0; I < Given.size(); ++I) {
    if (Info.internalSymbols()[I])
      continue;
    Symbols[I] = Given[I];
    Bound[I] = true;
  }
  return Status();
}

Status Frame::run(std::vector<Tensor> Inputs, std::vector<Tensor> &Outputs,
                  const Evaluation::SymbolLookup &Outer) {
  const limosa_graph_api &Api = Info.Api;
  const limosa_region *Body = Api.graph_body(Info.Graph);
  if (Inputs.size() != Api.region_arg_count(Body))
    return Status(LIMOSA_STATUS_INVALID_ARGUMENT,
                  "the graph has " +
                      std::to_string(Api.region_arg_count(Body)) + " inputs; " +
                      std::to_string(Inputs.size()) + " were given");
  LIMOSA_TRY(prebind());
  auto Define = [&](uint32_t I, Tensor T) {
    Status S = define(Api.region_arg(Body, I), std::move(T));
    if (!S.ok()) {
      std::string Name = Api.value_name(Info.Graph, Api.region_arg(Body, I));
      S.Message = "input " +
                  (Name.empty() ? std::to_string(I) : "'" + Name + "'") + " " +
                  S.Message;
    }
    return S;
  };
  for (uint32_t I = 0; I < Inputs.size(); ++I)
    LIMOSA_TRY(Define(I, Inputs[I]));
  if (Outer)
    for (uint32_t S = 0; S < Symbols.size(); ++S)
      if (!Bound[S] && !Info.internalSymbols()[S])
        if (auto Size = Outer(Api.symbol_name(Info.Graph, S))) {
          Symbols[S] = *Size;
          Bound[S] = true;
        }
  // Again, now that all symbols are bound: checks the expressions.
  for (uint32_t I = 0; I < Inputs.size(); ++I)
    LIMOSA_TRY(Define(I, std::move(Inputs[I])));
  LIMOSA_TRY(runOps(Body, Info.Graph == E.Root));
  Outputs.clear();
  for (uint32_t I = 0; I < Api.region_result_count(Body); ++I)
    Outputs.push_back(Values[Api.region_result(Body, I)]);
  return Status();
}

Status Frame::runRegion(const limosa_region *Region, std::vector<Tensor> Args,
                        std::vector<Tensor> &Results) {
  const limosa_graph_api &Api = Info.Api;
  if (Args.size() != Api.region_arg_count(Region))
    return Status(LIMOSA_STATUS_INVALID_ARGUMENT,
                  "its region takes " +
                      std::to_string(Api.region_arg_count(Region)) +
                      " values, not " + std::to_string(Args.size()));
  std::vector<bool> Before = Bound;
  for (uint32_t I = 0; I < Args.size(); ++I) {
    Status S = define(Api.region_arg(Region, I), std::move(Args[I]));
    if (!S.ok()) {
      S.Message =
          "argument " + std::to_string(I) + " of its region " + S.Message;
      return S;
    }
  }
  LIMOSA_TRY(runOps(Region, false));
  Results.clear();
  for (uint32_t I = 0; I < Api.region_result_count(Region); ++I)
    Results.push_back(Values[Api.region_result(Region, I)]);
  for (uint32_t Value : Info.liveness(Region).Defined)
    Values[Value] = Tensor();
  Bound = std::move(Before);
  return Status();
}

Status Frame::runOps(const limosa_region *Region, bool Outermost) {
  const limosa_graph_api &Api = Info.Api;
  const RegionLiveness &Liveness = Info.liveness(Region);
  for (uint32_t I = 0; I < Api.region_op_count(Region); ++I) {
    OpContext Context(*this, Api.region_op(Region, I));
    const OpEntry *Entry = findOp(Context.name());
    if (!Entry || !isImplemented(Context.name(), Api.op_version(Context.Op)))
      return Context.fail(LIMOSA_STATUS_UNSUPPORTED,
                          "the reference interpreter does not know version " +
                              std::to_string(Api.op_version(Context.Op)) +
                              " of this op");
    if (E.Options.StepLimit > 0 && ++E.Steps > E.Options.StepLimit)
      return Context.fail(LIMOSA_STATUS_FAILED,
                          "the graph runs more ops than allowed");
    LIMOSA_TRY(Entry->Run(Context));
    for (uint32_t J = 0; J < Context.resultCount(); ++J) {
      uint32_t Value = Api.op_result(Context.Op, J);
      if (!Values[Value])
        return Context.fail(LIMOSA_STATUS_INTERNAL, "gave no result");
      if (Outermost && E.Options.Observe)
        E.Options.Observe(Value, Values[Value]);
    }
    for (uint32_t Value : Liveness.DieAfter[I])
      Values[Value] = Tensor();
  }
  return Status();
}
