//===- GraphAccess.cpp - A serialised graph behind the C accessors --------===//

#include "GraphAccess.h"

#include <cstring>

using namespace limosa;
using namespace limosa::runtime;

namespace {

const fb::Region *region(const limosa_region *R) {
  return reinterpret_cast<const fb::Region *>(R);
}
const fb::Op *op(const limosa_op *O) {
  return reinterpret_cast<const fb::Op *>(O);
}
const fb::Attr *attr(const limosa_attr *A) {
  return reinterpret_cast<const fb::Attr *>(A);
}
const limosa_attr *handle(const fb::Attr *A) {
  return reinterpret_cast<const limosa_attr *>(A);
}
const limosa_region *handle(const fb::Region *R) {
  return reinterpret_cast<const limosa_region *>(R);
}

template <typename T> uint32_t count(const flatbuffers::Vector<T> *V) {
  return V ? V->size() : 0;
}
const char *text(const flatbuffers::String *S) { return S ? S->c_str() : ""; }

const fb::Value &value(const limosa_graph *G, uint32_t V) {
  return *G->Table->values()->Get(V);
}

int32_t evaluate(const limosa_graph *G, uint32_t Expr, const int64_t *Symbols,
                 int64_t *Out) {
  const SymbolExpr &E = G->Exprs[Expr];
  if (!Symbols && !E.isConstant())
    return LIMOSA_STATUS_INVALID_ARGUMENT;
  int64_t Value;
  if (!E.evaluate(Symbols, Value))
    return LIMOSA_STATUS_FAILED;
  *Out = Value;
  return LIMOSA_STATUS_OK;
}

//===----------------------------------------------------------------------===//
// Graphs, symbols, values
//===----------------------------------------------------------------------===//

const char *graphName(const limosa_graph *G) { return text(G->Table->name()); }
const limosa_region *graphBody(const limosa_graph *G) {
  return handle(G->Table->body());
}

uint32_t symbolCount(const limosa_graph *G) {
  return count(G->Table->symbols());
}
const char *symbolName(const limosa_graph *G, uint32_t S) {
  return G->Table->symbols()->Get(S)->name()->c_str();
}
void symbolRange(const limosa_graph *G, uint32_t S, int64_t *Min, int64_t *Max,
                 int64_t *Divisor, const char **Bound) {
  const fb::Symbol &Symbol = *G->Table->symbols()->Get(S);
  if (Min)
    *Min = Symbol.min();
  if (Max)
    *Max = Symbol.max();
  if (Divisor)
    *Divisor = Symbol.divisor();
  if (Bound)
    *Bound = Symbol.bound() ? Symbol.bound()->c_str() : nullptr;
}

uint32_t valueCount(const limosa_graph *G) { return count(G->Table->values()); }
const char *valueName(const limosa_graph *G, uint32_t V) {
  return text(value(G, V).name());
}
uint32_t valueDType(const limosa_graph *G, uint32_t V) {
  return value(G, V).dtype();
}
uint32_t valueRank(const limosa_graph *G, uint32_t V) {
  return count(value(G, V).dims());
}
const char *valueDimText(const limosa_graph *G, uint32_t V, uint32_t Dim) {
  return G->Table->exprs()->Get(value(G, V).dims()->Get(Dim))->text()->c_str();
}
int32_t valueDim(const limosa_graph *G, uint32_t V, uint32_t Dim,
                 const int64_t *Symbols, int64_t *Out) {
  int64_t Size;
  if (int32_t S = evaluate(G, value(G, V).dims()->Get(Dim), Symbols, &Size))
    return S;
  if (Size < 0)
    return LIMOSA_STATUS_FAILED;
  *Out = Size;
  return LIMOSA_STATUS_OK;
}
const uint8_t *valueOrder(const limosa_graph *G, uint32_t V) {
  const auto *Order = value(G, V).order();
  return count(Order) ? Order->data() : nullptr;
}

//===----------------------------------------------------------------------===//
// Regions and ops
//===----------------------------------------------------------------------===//

uint32_t regionArgCount(const limosa_region *R) {
  return count(region(R)->args());
}
uint32_t regionArg(const limosa_region *R, uint32_t I) {
  return region(R)->args()->Get(I);
}
uint32_t regionOpCount(const limosa_region *R) {
  return count(region(R)->ops());
}
const limosa_op *regionOp(const limosa_region *R, uint32_t I) {
  return reinterpret_cast<const limosa_op *>(region(R)->ops()->Get(I));
}
uint32_t regionResultCount(const limosa_region *R) {
  return count(region(R)->results());
}
uint32_t regionResult(const limosa_region *R, uint32_t I) {
  return region(R)->results()->Get(I);
}

const char *opName(const limosa_op *O) { return op(O)->name()->c_str(); }
uint32_t opVersion(const limosa_op *O) { return op(O)->version(); }
uint32_t opOperandCount(const limosa_op *O) { return count(op(O)->operands()); }
uint32_t opOperand(const limosa_op *O, uint32_t I) {
  return op(O)->operands()->Get(I);
}
uint32_t opResultCount(const limosa_op *O) { return count(op(O)->results()); }
uint32_t opResult(const limosa_op *O, uint32_t I) {
  return op(O)->results()->Get(I);
}
uint32_t opRegionCount(const limosa_op *O) { return count(op(O)->regions()); }
const limosa_region *opRegion(const limosa_op *O, uint32_t I) {
  return handle(op(O)->regions()->Get(I));
}
const char *opLocation(const limosa_op *O) { return text(op(O)->location()); }
uint32_t opAttrCount(const limosa_op *O) { return count(op(O)->attrs()); }
const limosa_attr *opAttr(const limosa_op *O, uint32_t I) {
  return handle(op(O)->attrs()->Get(I));
}
const limosa_attr *opFindAttr(const limosa_op *O, const char *Name) {
  for (uint32_t I = 0; I < opAttrCount(O); ++I)
    if (op(O)->attrs()->Get(I)->name()->string_view() == Name)
      return opAttr(O, I);
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

const char *attrName(const limosa_attr *A) { return attr(A)->name()->c_str(); }
uint32_t attrKind(const limosa_attr *A) { return uint32_t(attr(A)->kind()); }
int64_t attrInt(const limosa_attr *A) { return attr(A)->i(); }
double attrFloat(const limosa_attr *A) { return attr(A)->f(); }
const char *attrString(const limosa_attr *A) { return text(attr(A)->s()); }
uint32_t attrCount(const limosa_attr *A) {
  switch (attr(A)->kind()) {
  case fb::AttrKind::Ints:
    return count(attr(A)->ints());
  case fb::AttrKind::Floats:
    return count(attr(A)->floats());
  case fb::AttrKind::Strings:
    return count(attr(A)->strings());
  case fb::AttrKind::Exprs:
    return count(attr(A)->exprs());
  default:
    return 0;
  }
}
int64_t attrIntAt(const limosa_attr *A, uint32_t I) {
  return attr(A)->ints()->Get(I);
}
double attrFloatAt(const limosa_attr *A, uint32_t I) {
  return attr(A)->floats()->Get(I);
}
const char *attrStringAt(const limosa_attr *A, uint32_t I) {
  return attr(A)->strings()->Get(I)->c_str();
}
const char *attrExprText(const limosa_graph *G, const limosa_attr *A,
                         uint32_t I) {
  return G->Table->exprs()->Get(attr(A)->exprs()->Get(I))->text()->c_str();
}
int32_t attrExpr(const limosa_graph *G, const limosa_attr *A, uint32_t I,
                 const int64_t *Symbols, int64_t *Out) {
  return evaluate(G, attr(A)->exprs()->Get(I), Symbols, Out);
}
const void *attrData(const limosa_graph *G, const limosa_attr *A,
                     uint64_t *Bytes) {
  std::span<const uint8_t> Data;
  if (const auto *Inline = attr(A)->data(); count(Inline))
    Data = {Inline->data(), Inline->size()};
  else if (attr(A)->s() && *G->External)
    Data = (*G->External)(attr(A)->s()->string_view());
  if (Bytes)
    *Bytes = Data.size();
  return Data.empty() ? nullptr : Data.data();
}

uint32_t functionCount(const limosa_graph *G) {
  return uint32_t(G->Functions.size());
}
const limosa_graph *function(const limosa_graph *G, uint32_t I) {
  return G->Functions[I].get();
}
const limosa_graph *findFunction(const limosa_graph *G, const char *Name) {
  for (const auto &F : G->Functions)
    if (std::strcmp(graphName(F.get()), Name) == 0)
      return F.get();
  return nullptr;
}

constexpr limosa_graph_api Api = {sizeof(limosa_graph_api),
                                  nullptr,
                                  graphName,
                                  graphBody,
                                  symbolCount,
                                  symbolName,
                                  symbolRange,
                                  valueCount,
                                  valueName,
                                  valueDType,
                                  valueRank,
                                  valueDimText,
                                  valueDim,
                                  valueOrder,
                                  regionArgCount,
                                  regionArg,
                                  regionOpCount,
                                  regionOp,
                                  regionResultCount,
                                  regionResult,
                                  opName,
                                  opVersion,
                                  opOperandCount,
                                  opOperand,
                                  opResultCount,
                                  opResult,
                                  opRegionCount,
                                  opRegion,
                                  opLocation,
                                  opAttrCount,
                                  opAttr,
                                  opFindAttr,
                                  attrName,
                                  attrKind,
                                  attrInt,
                                  attrFloat,
                                  attrString,
                                  attrCount,
                                  attrIntAt,
                                  attrFloatAt,
                                  attrStringAt,
                                  attrExprText,
                                  attrExpr,
                                  attrData,
                                  functionCount,
                                  function,
                                  findFunction};

} // namespace

const limosa_graph_api *limosa::runtime::graphApi() { return &Api; }

GraphAccess::GraphAccess() = default;
GraphAccess::~GraphAccess() = default;

const limosa_graph *GraphAccess::handle() const { return Root.get(); }

std::unique_ptr<GraphAccess> GraphAccess::create(const fb::Graph &G,
                                                 std::string &Error,
                                                 ExternalData External) {
  std::unique_ptr<limosa_graph> Root = validateGraph(G, Error);
  if (!Root)
    return nullptr;
  Root->OwnedExternal = std::move(External);
  Root->External = &Root->OwnedExternal;
  for (const auto &Function : Root->Functions)
    Function->External = Root->External;
  std::unique_ptr<GraphAccess> Result(new GraphAccess);
  Result->Root = std::move(Root);
  return Result;
}

std::unique_ptr<GraphAccess> GraphAccess::create(std::span<const uint8_t> Bytes,
                                                 std::string &Error,
                                                 ExternalData External) {
  flatbuffers::Verifier Verifier(Bytes.data(), Bytes.size(), /*max_depth=*/128,
                                 /*max_tables=*/1u << 28);
  if (!Verifier.VerifyBuffer<fb::Graph>(nullptr)) {
    Error = "damaged graph: not a serialised graph";
    return nullptr;
  }
  return create(*flatbuffers::GetRoot<fb::Graph>(Bytes.data()), Error,
                std::move(External));
}
