//===- Frame.h - The state of a running graph -------------------*- C++ -*-===//

#ifndef LIMOSA_REFERENCE_FRAME_H
#define LIMOSA_REFERENCE_FRAME_H

#include "limosa/Reference/Interpreter.h"
#include "limosa/Runtime/SymbolExpr.h"

#include <string>
#include <unordered_map>

namespace limosa::reference {

/// When the values of a region die: for each op the values defined in the
/// region that nothing after it uses.
struct RegionLiveness {
  std::vector<std::vector<uint32_t>> DieAfter;
  std::vector<uint32_t> Defined;
};

/// What does not change between the activations of one graph.
class GraphInfo {
public:
  GraphInfo(const limosa_graph_api &Api, const limosa_graph *Graph);

  const limosa_graph_api &Api;
  const limosa_graph *Graph;

  std::optional<uint32_t> findSymbol(std::string_view Name) const;
  /// The parsed expression; null if it is not one over the graph's symbols.
  const runtime::SymbolExpr *expr(std::string_view Text);
  const RegionLiveness &liveness(const limosa_region *Region);
  /// Symbols that the graph's own ops define: by bind_symbol and compact, or by
  /// being first named in what control flow gives.
  const std::vector<bool> &internalSymbols();

private:
  void collectUses(const limosa_region *Region,
                   std::unordered_map<uint32_t, uint32_t> &LastUse,
                   uint32_t At);
  void collectInternal(const limosa_region *Region);

  std::unordered_map<std::string_view, uint32_t> SymbolNumbers;
  std::unordered_map<std::string, std::optional<runtime::SymbolExpr>> Exprs;
  std::unordered_map<const limosa_region *, RegionLiveness> Livenesses;
  std::optional<std::vector<bool>> Internal;
};

/// What all activations of one evaluation share.
class Evaluation {
public:
  Evaluation(const limosa_graph_api &Api, const limosa_graph *Root,
             const EvaluateOptions &Options);

  Status run(std::vector<Tensor> Inputs, std::vector<Tensor> &Outputs);
  /// Calls a function of the root graph. `CallerSymbols` gives symbols that the
  /// shapes of the arguments leave open.
  using SymbolLookup =
      std::function<std::optional<int64_t>(std::string_view Name)>;
  Status call(std::string_view Function, std::vector<Tensor> Inputs,
              std::vector<Tensor> &Outputs, const SymbolLookup &CallerSymbols);

  const limosa_graph_api &Api;
  const limosa_graph *Root;
  const EvaluateOptions &Options;
  std::shared_ptr<MemoryBudget> Budget;
  int64_t Steps = 0; ///< Ops evaluated so far.

private:
  GraphInfo &info(const limosa_graph *Graph);
  std::unordered_map<const limosa_graph *, std::unique_ptr<GraphInfo>> Infos;
  unsigned Depth = 0;
};

/// One activation of a graph: its values and symbols.
class Frame {
public:
  Frame(Evaluation &E, GraphInfo &Info);

  /// Evaluates the graph's body.
  Status run(std::vector<Tensor> Inputs, std::vector<Tensor> &Outputs,
             const Evaluation::SymbolLookup &Outer);

  /// Evaluates a region nested in an op. Symbols that the region binds are
  /// forgotten afterwards.
  Status runRegion(const limosa_region *Region, std::vector<Tensor> Args,
                   std::vector<Tensor> &Results);

  /// The value of an expression all of whose symbols are bound.
  std::optional<int64_t> evaluate(std::string_view Text);
  /// The shape that a value's type states.
  Status declaredShape(uint32_t Value, Shape &Out);
  /// Defines a value after checking it against its type, and binds symbols that
  /// its type is the first to name.
  Status define(uint32_t Value, Tensor T);
  /// Gives a symbol a value; fails if it has another or is out of its range.
  Status bindSymbol(uint32_t Symbol, int64_t Size);
  std::optional<int64_t> symbol(std::string_view Name) const;

  const Tensor &value(uint32_t V) const { return Values[V]; }

  Evaluation &E;
  GraphInfo &Info;

private:
  Status runOps(const limosa_region *Region, bool Outermost);
  Status prebind();
  Status checkRange(uint32_t Symbol) const;
  bool isBound(const runtime::SymbolExpr &Expr) const;

  std::vector<Tensor> Values;
  std::vector<int64_t> Symbols;
  std::vector<bool> Bound;
};

/// A shape as text, for messages: "[2, 3]".
std::string shapeText(const Shape &Dims);

} // namespace limosa::reference

#endif // LIMOSA_REFERENCE_FRAME_H
