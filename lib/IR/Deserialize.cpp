//===- Deserialize.cpp - graph.fbs to functions ---------------------------===//

#include "SerializeCommon.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Serialize.h"
#include "limosa/IR/Symbols.h"
#include "limosa/IR/Types.h"
#include "limosa/IR/Upgrade.h"
#include "limosa/Runtime/GraphAccess.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Verifier.h"

using namespace mlir;
using namespace limosa;

DenseElementsAttr limosa::bytesToElements(RankedTensorType Ty,
                                          ArrayRef<uint8_t> Bytes) {
  DType T = getDType(Ty.getElementType());
  if (T == DType::Bool) {
    SmallVector<bool> Bits;
    for (uint8_t B : Bytes)
      Bits.push_back(B != 0);
    return DenseElementsAttr::get(Ty, ArrayRef<bool>(Bits));
  }
  std::vector<char> Raw(Bytes.begin(), Bytes.end());
  if (dtypeBits(T) == 4) {
    Raw.assign(size_t(Ty.getNumElements()), 0);
    for (size_t I = 0; I < Raw.size(); ++I)
      Raw[I] = char((Bytes[I / 2] >> (I % 2 * 4)) & 15);
  }
  // Raw bytes of one element would be taken for a splat of any shape.
  return DenseElementsAttr::getFromRawBuffer(Ty, Raw);
}

namespace {

/// Turns the graph, already validated and upgraded, into a function.
class GraphReader {
public:
  GraphReader(ModuleOp Module, const fb::GraphT &Graph)
      : Module(Module), Ctx(Module.getContext()), Graph(Graph),
        B(OpBuilder::atBlockEnd(Module.getBody())) {}

  llvm::Error read(bool IsRoot) {
    for (const auto &S : Graph.symbols)
      setSymbolInfo(Module, S->name,
                    SymbolAttr::get(Ctx, S->min, S->max, S->divisor, S->bound));
    for (const auto &V : Graph.values)
      Types.push_back(typeOf(*V));
    Values.resize(Types.size());
    const fb::RegionT &Body = *Graph.body;
    auto TypesOf = [&](const std::vector<uint32_t> &List) {
      SmallVector<Type> Result;
      for (uint32_t V : List)
        Result.push_back(Types[V]);
      return Result;
    };
    auto Func = func::FuncOp::create(
        B, UnknownLoc::get(Ctx), Graph.name.empty() ? "main" : Graph.name,
        FunctionType::get(Ctx, TypesOf(Body.args), TypesOf(Body.results)));
    if (IsRoot)
      Func->setAttr(EntryAttrName, UnitAttr::get(Ctx));
    else
      Func.setPrivate();
    for (auto [I, V] : llvm::enumerate(Body.args))
      if (const std::string &Name = Graph.values[V]->name; !Name.empty())
        Func.setArgAttr(I, NameAttrName, StringAttr::get(Ctx, Name));
    for (auto [I, V] : llvm::enumerate(Body.results))
      if (const std::string &Name = Graph.values[V]->name; !Name.empty())
        Func.setResultAttr(I, NameAttrName, StringAttr::get(Ctx, Name));
    if (llvm::Error E = readRegion(Body, Func.getBody()))
      return E;
    B.setInsertionPointToEnd(&Func.getBody().front());
    func::ReturnOp::create(B, UnknownLoc::get(Ctx), valuesOf(Body.results));
    return llvm::Error::success();
  }

private:
  Type typeOf(const fb::ValueT &V) {
    Dims Shape;
    for (uint32_t D : V.dims)
      Shape.push_back(parseDim(Graph.exprs[D]->text));
    SmallVector<int64_t> Order(V.order.begin(), V.order.end());
    return makeTensorType(Shape, getElementType(Ctx, DType(V.dtype)), Order);
  }

  SmallVector<Value> valuesOf(const std::vector<uint32_t> &List) {
    SmallVector<Value> Result;
    for (uint32_t V : List)
      Result.push_back(Values[V]);
    return Result;
  }

  /// Everything but the terminator.
  llvm::Error readRegion(const fb::RegionT &From, Region &Into) {
    Block &Body = Into.emplaceBlock();
    for (uint32_t V : From.args)
      Values[V] = Body.addArgument(Types[V], UnknownLoc::get(Ctx));
    for (const auto &Op : From.ops) {
      auto Made = readOp(*Op);
      if (!Made)
        return Made.takeError();
      Body.push_back(*Made);
    }
    return llvm::Error::success();
  }

  llvm::Expected<Operation *> readOp(const fb::OpT &Op) {
    Location Loc = Op.location.empty()
                       ? Location(UnknownLoc::get(Ctx))
                       : NameLoc::get(StringAttr::get(Ctx, Op.location));
    OperationState State(Loc, "limosa." + Op.name);
    State.addOperands(valuesOf(Op.operands));
    for (uint32_t V : Op.results)
      State.addTypes(Types[V]);
    if (llvm::Error E = readAttrs(Op, State))
      return E;
    for (const auto &R : Op.regions) {
      auto Inner = std::make_unique<Region>();
      if (llvm::Error E = readRegion(*R, *Inner))
        return E;
      B.setInsertionPointToEnd(&Inner->front());
      YieldOp::create(B, UnknownLoc::get(Ctx), valuesOf(R->results));
      State.addRegion(std::move(Inner));
    }
    Operation *Made = Operation::create(State);
    for (auto [V, Result] : llvm::zip(Op.results, Made->getResults()))
      Values[V] = Result;
    return Made;
  }

  llvm::Error readAttrs(const fb::OpT &Op, OperationState &State) {
    std::map<std::string, NamedAttrList> Dictionaries;
    for (const auto &A : Op.attrs) {
      Attribute Value = readAttr(Op, *A);
      if (!Value)
        return llvm::createStringError("op '" + Op.name + "': attribute '" +
                                       A->name + "' is damaged");
      size_t Dot = A->name.find('.');
      if (Dot == std::string::npos)
        State.addAttribute(A->name, Value);
      else
        Dictionaries[A->name.substr(0, Dot)].set(A->name.substr(Dot + 1),
                                                 Value);
    }
    // An empty dictionary leaves no trace in the file.
    auto Info = RegisteredOperationName::lookup(State.name.getStringRef(), Ctx);
    for (StringAttr Name : Info->getAttributeNames())
      if (Name == "config")
        Dictionaries.try_emplace("config");
    for (auto &[Name, Entries] : Dictionaries)
      State.addAttribute(Name, Entries.getDictionary(Ctx));
    if (failed(Info->verifyInherentAttrs(State.attributes, [&]() {
          return emitError(State.location, "'limosa.") << Op.name << "' ";
        })))
      return llvm::createStringError("op '" + Op.name +
                                     "' has wrong attributes");
    return llvm::Error::success();
  }

  /// Null if the attribute is not well formed.
  Attribute readAttr(const fb::OpT &Op, const fb::AttrT &A) {
    switch (A.kind) {
    case fb::AttrKind::Int:
      return B.getI64IntegerAttr(A.i);
    case fb::AttrKind::Bool:
      return B.getBoolAttr(A.i != 0);
    case fb::AttrKind::Float:
      return B.getF64FloatAttr(A.f);
    case fb::AttrKind::String:
      return B.getStringAttr(A.s);
    case fb::AttrKind::Function:
      return FlatSymbolRefAttr::get(Ctx, A.s);
    case fb::AttrKind::Enum:
      if (auto Direction = symbolizeCompareDirection(A.s))
        return CompareDirectionAttr::get(Ctx, *Direction);
      return {};
    case fb::AttrKind::Ints:
      if (A.name == SegmentSizesName)
        return B.getDenseI32ArrayAttr(
            SmallVector<int32_t>(A.ints.begin(), A.ints.end()));
      return B.getDenseI64ArrayAttr(A.ints);
    case fb::AttrKind::Floats:
      return B.getDenseF64ArrayAttr(A.floats);
    case fb::AttrKind::Strings: {
      SmallVector<StringRef> Texts(A.strings.begin(), A.strings.end());
      return B.getStrArrayAttr(Texts);
    }
    case fb::AttrKind::Exprs: {
      SmallVector<StringRef> Texts;
      for (uint32_t E : A.exprs)
        Texts.push_back(Graph.exprs[E]->text);
      if (!isExpressionAttr(Op.name, A.name))
        return B.getStrArrayAttr(Texts);
      return Texts.size() == 1 ? B.getStringAttr(Texts[0]) : StringAttr();
    }
    case fb::AttrKind::DType:
      return TypeAttr::get(getElementType(Ctx, DType(A.i)));
    case fb::AttrKind::Data:
      return readData(Op, A);
    case fb::AttrKind::None:
      break;
    }
    return {};
  }

  /// Data has the type of the op's result.
  Attribute readData(const fb::OpT &Op, const fb::AttrT &A) {
    if (Op.results.size() != 1)
      return {};
    auto Ty = cast<RankedTensorType>(Types[Op.results[0]]);
    if (!Ty.hasStaticShape())
      return {};
    // Sizes are not trusted: their product may overflow.
    int64_t Count = 1;
    for (int64_t D : Ty.getShape())
      if (__builtin_mul_overflow(Count, D, &Count) ||
          Count > (int64_t(1) << 40))
        return {};
    DType T = getDType(Ty.getElementType());
    if (int64_t(A.data.size()) != dtypeBytes(T, Count))
      return {};
    // Attributes carry no symbols, and constants no order.
    return bytesToElements(
        RankedTensorType::get(Ty.getShape(), Ty.getElementType()), A.data);
  }

  ModuleOp Module;
  MLIRContext *Ctx;
  const fb::GraphT &Graph;
  OpBuilder B;
  SmallVector<Type> Types;
  SmallVector<Value> Values;
};

/// The version of a registered op.
uint16_t currentVersion(MLIRContext &Context, std::string_view Name) {
  auto Info =
      RegisteredOperationName::lookup("limosa." + std::string(Name), &Context);
  if (!Info || Name == "yield")
    return 0;
  auto *Core = Info->getInterface<CoreOp>();
  return Core ? Core->getDefinitionVersion() : 1;
}

} // namespace

llvm::Expected<OwningOpRef<ModuleOp>>
limosa::deserializeGraph(MLIRContext &Context, ArrayRef<uint8_t> Bytes) {
  Context.loadDialect<LimosaDialect, func::FuncDialect>();
  std::string Error;
  if (!runtime::GraphAccess::create(std::span(Bytes.data(), Bytes.size()),
                                    Error))
    return llvm::createStringError(Error);
  std::unique_ptr<fb::GraphT> Graph(
      flatbuffers::GetRoot<fb::Graph>(Bytes.data())->UnPack());
  if (!upgradeGraph(
          *Graph,
          [&](std::string_view Op) { return currentVersion(Context, Op); },
          Error))
    return llvm::createStringError(Error);

  OwningOpRef<ModuleOp> Module = ModuleOp::create(UnknownLoc::get(&Context));
  // What the verifiers say goes into the error.
  std::string Diagnostics;
  ScopedDiagnosticHandler Handler(&Context, [&](Diagnostic &D) {
    if (Diagnostics.empty())
      Diagnostics = D.str();
  });
  auto Fail = [&](std::string What) {
    return llvm::createStringError(
        What + (Diagnostics.empty() ? "" : ": " + Diagnostics));
  };
  if (llvm::Error E = GraphReader(*Module, *Graph).read(/*IsRoot=*/true))
    return Fail(llvm::toString(std::move(E)));
  for (const auto &Function : Graph->functions)
    if (llvm::Error E = GraphReader(*Module, *Function).read(/*IsRoot=*/false))
      return Fail(llvm::toString(std::move(E)));
  // Composite bodies and kernels are known by who calls them.
  Module->walk([&](Operation *Op) {
    auto Mark = [&](FlatSymbolRefAttr Ref, StringRef Name) {
      if (auto F = Module->lookupSymbol<func::FuncOp>(Ref))
        F->setAttr(Name, UnitAttr::get(&Context));
    };
    if (auto Composite = dyn_cast<CompositeOp>(Op))
      Mark(Composite.getBodyAttr(), CompositeAttrName);
    else if (auto Launch = dyn_cast<LaunchOp>(Op))
      Mark(Launch.getKernelAttr(), KernelAttrName);
  });
  if (failed(verify(*Module)))
    return Fail("the graph is not valid");
  return Module;
}
