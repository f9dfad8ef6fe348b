//===- Composites.cpp - Finding and building composites -------------------===//

#include "limosa/IR/Composites.h"
#include "Composites/Families.h"
#include "limosa/IR/Symbols.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace limosa;

ArrayRef<CompositeDef> limosa::allComposites() {
  static const std::vector<CompositeDef> All = [] {
    std::vector<CompositeDef> List;
    for (ArrayRef<CompositeDef> Family :
         {composites::activations(), composites::attentions(),
          composites::elementary(), composites::norms(),
          composites::recurrences()})
      llvm::append_range(List, Family);
    llvm::sort(List, [](const CompositeDef &A, const CompositeDef &B) {
      return std::tuple(StringRef(A.Name), A.Version) <
             std::tuple(StringRef(B.Name), B.Version);
    });
    return List;
  }();
  return All;
}

const CompositeDef *limosa::findComposite(StringRef Name, int64_t Version) {
  const CompositeDef *Found = nullptr;
  for (const CompositeDef &C : allComposites())
    if (C.Name == Name && (Version == 0 || C.Version == Version))
      Found = &C; // sorted: the last one is the newest
  return Found;
}

[[maybe_unused]] static bool satisfies(DictionaryAttr Config,
                                       ArrayRef<CompositeAttr> Schema) {
  size_t Given = 0;
  for (const CompositeAttr &A : Schema) {
    Attribute V = Config.get(A.Name);
    if (!V && A.Optional)
      continue;
    ++Given;
    using K = CompositeAttr::Kind;
    if (!V || (A.K == K::Int && !isa<IntegerAttr>(V)) ||
        (A.K == K::Float && !isa<FloatAttr>(V)) ||
        (A.K == K::Bool && !isa<BoolAttr>(V)) ||
        (A.K == K::String && !isa<StringAttr>(V)) ||
        (A.K == K::Ints && !isa<DenseI64ArrayAttr>(V)))
      return false;
  }
  return Given == Config.size();
}

/// The function that defines the composite for these operands: a new one, or
/// one that is there already.
static func::FuncOp getBody(CoreBuilder &B, ModuleOp Module,
                            const CompositeDef &Def, ValueRange Inputs,
                            DictionaryAttr Config) {
  OpBuilder &Builder = B.builder();
  auto Identity = Builder.getDictionaryAttr(
      {Builder.getNamedAttr("name", Builder.getStringAttr(Def.Name)),
       Builder.getNamedAttr("version", Builder.getI64IntegerAttr(Def.Version)),
       Builder.getNamedAttr("config", Config)});
  llvm::StringSet<> Taken;
  for (auto F : Module.getOps<func::FuncOp>()) {
    if (F->getAttr(CompositeAttrName) == Identity &&
        F.getArgumentTypes() == Inputs.getTypes())
      return F;
    if (F->hasAttr(CompositeAttrName))
      Taken.insert(F.getSymName());
  }
  std::string Base = (Def.Name + ".v" + Twine(Def.Version)).str(), Name = Base;
  for (unsigned N = 1; Taken.contains(Name); ++N)
    Name = Base + "." + std::to_string(N);

  OpBuilder::InsertionGuard Guard(Builder);
  Builder.setInsertionPointToEnd(Module.getBody());
  SmallVector<Type> Types(Inputs.getTypes());
  auto F = func::FuncOp::create(Builder, B.loc(), Name,
                                Builder.getFunctionType(Types, {}));
  F.setPrivate();
  F->setAttr(CompositeAttrName, Identity);
  Builder.setInsertionPointToEnd(F.addEntryBlock());
  SmallVector<Value> Results = Def.Define(B, F.getArguments(), Config);
  func::ReturnOp::create(Builder, B.loc(), Results);
  F.setFunctionType(
      Builder.getFunctionType(Types, ValueRange(Results).getTypes()));
  return F;
}

SmallVector<Value> limosa::buildComposite(CoreBuilder &B, StringRef Name,
                                          ValueRange Inputs,
                                          DictionaryAttr Config) {
  const CompositeDef *Def = findComposite(Name);
  assert(Def && "no such composite");
  assert(satisfies(Config, Def->Schema) && "config does not fit the schema");
  OpBuilder &Builder = B.builder();
  auto Module =
      Builder.getInsertionBlock()->getParentOp()->getParentOfType<ModuleOp>();
  func::FuncOp Body = getBody(B, Module, *Def, Inputs, Config);
  auto Call = CompositeOp::create(Builder, B.loc(), Body.getResultTypes(),
                                  Inputs, Builder.getStringAttr(Name),
                                  Builder.getI64IntegerAttr(Def->Version),
                                  Config, FlatSymbolRefAttr::get(Body));
  return SmallVector<Value>(Call.getResults());
}
