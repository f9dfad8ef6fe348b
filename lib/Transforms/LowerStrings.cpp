//===- LowerStrings.cpp - Strings to numbers ------------------------------===//
//
// A string becomes its number (i64) in a table that the program carries and the
// runtime extends with what it is given. Equal strings have one number, so that
// comparing numbers compares strings; their order means nothing.
//
//===----------------------------------------------------------------------===//

#include "limosa/IR/CoreBuilder.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Symbols.h"
#include "limosa/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace limosa;

namespace {

bool isStrings(Type Ty) {
  auto Tensor = dyn_cast<RankedTensorType>(Ty);
  return Tensor && isa<StringType>(Tensor.getElementType());
}

struct LowerStrings : PassWrapper<LowerStrings, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerStrings)
  StringRef getArgument() const final { return "limosa-lower-strings"; }
  StringRef getDescription() const final { return "Make numbers of strings"; }

  void runOnOperation() final {
    bool Any = false;
    getOperation().walk([&](Operation *Op) {
      Any |= llvm::any_of(Op->getOperandTypes(), isStrings) ||
             llvm::any_of(Op->getResultTypes(), isStrings);
      if (auto Func = dyn_cast<func::FuncOp>(Op))
        Any |= llvm::any_of(Func.getArgumentTypes(), isStrings);
    });
    if (!Any)
      return;
    number("");
    // What is looked for gets the first numbers: that keeps its tables short.
    SmallVector<StringIndexOp> Lookups;
    getOperation().walk([&](StringIndexOp Op) {
      Lookups.push_back(Op);
      for (Attribute S : Op.getStrings())
        number(cast<StringAttr>(S).getValue());
    });
    getOperation().walk([&](CustomCallOp Call) { markCall(Call); });
    getOperation().walk([&](Operation *Op) { lower(Op); });
    for (StringIndexOp Op : Lookups)
      lowerLookup(Op);
    getOperation()->setAttr(StringTableAttrName,
                            ArrayAttr::get(&getContext(), Table));
  }

private:
  int64_t number(StringRef S) {
    auto [It, IsNew] = Numbers.try_emplace(S, int64_t(Table.size()));
    if (IsNew)
      Table.push_back(StringAttr::get(&getContext(), S));
    return It->second;
  }

  Type numbersOf(Type Ty) {
    if (!isStrings(Ty))
      return Ty;
    return withElementType(cast<RankedTensorType>(Ty),
                           IntegerType::get(&getContext(), 64));
  }

  void lower(Operation *Op) {
    if (auto Func = dyn_cast<func::FuncOp>(Op))
      lowerSignature(Func);
    if (auto C = dyn_cast<ConstantOp>(Op))
      if (auto Strings = dyn_cast<DenseStringElementsAttr>(C.getValue())) {
        SmallVector<int64_t> Values;
        for (StringRef S : Strings.getValues<StringRef>())
          Values.push_back(number(S));
        C.setValueAttr(DenseElementsAttr::get(
            cast<RankedTensorType>(numbersOf(C.getType())),
            ArrayRef<int64_t>(Values)));
      }
    for (Value V : Op->getResults())
      V.setType(numbersOf(V.getType()));
    for (Region &R : Op->getRegions())
      for (Block &B : R)
        for (Value V : B.getArguments())
          V.setType(numbersOf(V.getType()));
  }

  void lowerSignature(func::FuncOp Func) {
    SmallVector<Type> Arguments, Results;
    bool IsEntry = Func->hasAttr(EntryAttrName);
    auto Mark = UnitAttr::get(&getContext());
    for (auto [I, Ty] : llvm::enumerate(Func.getArgumentTypes())) {
      if (IsEntry && isStrings(Ty))
        Func.setArgAttr(I, StringsAttrName, Mark);
      Arguments.push_back(numbersOf(Ty));
    }
    for (auto [I, Ty] : llvm::enumerate(Func.getResultTypes())) {
      if (IsEntry && isStrings(Ty))
        Func.setResultAttr(I, StringsAttrName, Mark);
      Results.push_back(numbersOf(Ty));
    }
    Func.setFunctionType(FunctionType::get(&getContext(), Arguments, Results));
  }

  void markCall(CustomCallOp Call) {
    auto mark = [&](TypeRange Types, StringRef Name) {
      SmallVector<int64_t> Which;
      for (auto [I, Ty] : llvm::enumerate(Types))
        if (isStrings(Ty))
          Which.push_back(int64_t(I));
      if (!Which.empty())
        Call->setAttr(Name, DenseI64ArrayAttr::get(&getContext(), Which));
    };
    mark(Call->getOperandTypes(), "string_inputs");
    mark(Call->getResultTypes(), "string_outputs");
  }

  /// A table from the strings' numbers to their positions. Greater numbers are
  /// those of other strings.
  void lowerLookup(StringIndexOp Op) {
    int64_t Most = 0;
    for (Attribute S : Op.getStrings())
      Most = std::max(Most, number(cast<StringAttr>(S).getValue()));
    SmallVector<int64_t> Positions(Most + 2, -1);
    for (auto [I, S] : llvm::enumerate(Op.getStrings()))
      Positions[number(cast<StringAttr>(S).getValue())] = int64_t(I);
    OpBuilder Builder(Op);
    CoreBuilder B(Builder, Op.getLoc());
    Value At = B.minScalar(Op.getOperand(), double(Most + 1));
    Op.replaceAllUsesWith(B.take(B.intVector(Positions), At, 0));
    Op.erase();
  }

  llvm::StringMap<int64_t> Numbers;
  SmallVector<Attribute> Table;
};

} // namespace

std::unique_ptr<Pass> limosa::createLowerStringsPass() {
  return std::make_unique<LowerStrings>();
}
