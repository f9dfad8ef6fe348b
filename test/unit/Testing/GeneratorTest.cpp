//===- GeneratorTest.cpp - What random graphs are made of -----------------===//

#include "limosa/Driver/Driver.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Types.h"
#include "limosa/Testing/RandomGraph.h"
#include "mlir/IR/Verifier.h"
#include "gtest/gtest.h"
#include <set>

using namespace mlir;
using namespace limosa;
using namespace limosa::testing;

namespace {

/// What a few hundred graphs hold, gathered once.
struct Coverage {
  std::set<std::string> Ops;
  std::set<DType> Types;
  bool Empty = false, Nested = false, BatchGroups = false,
       InputDilation = false;

  explicit Coverage(MLIRContext &Context) {
    for (uint64_t Seed = 1; Seed <= 400; ++Seed) {
      RandomGraph G = makeRandomGraph(Context, Seed);
      EXPECT_TRUE(succeeded(verify(*G.Module))) << "seed " << Seed;
      G.Module->walk([&](Operation *Op) { look(Op); });
    }
  }

  void look(Operation *Op) {
    Ops.insert(Op->getName().stripDialect().str());
    for (Value V : Op->getResults())
      if (isa<RankedTensorType>(V.getType())) {
        Types.insert(getDType(getElementTypeOrSelf(V)));
        Empty |= numElements(V.getType()).isConstant(0);
      }
    if (isa<IfOp, WhileOp>(Op))
      Nested |= isa<IfOp, WhileOp>(Op->getParentOp());
    if (auto Conv = dyn_cast<ConvOp>(Op)) {
      BatchGroups |= Conv.getBatchGroups() != 1;
      InputDilation |=
          llvm::any_of(Conv.getLhsDilation(), [](int64_t D) { return D != 1; });
    }
  }
};

TEST(Generator, MakesEveryOpOfOneRankAndEveryType) {
  MLIRContext Context(MLIRContext::Threading::DISABLED);
  prepareContext(Context);
  Coverage Found(Context);
  // Collectives need several ranks.
  const std::set<std::string> Collectives = {"all_gather", "reduce_scatter",
                                             "permute"};
  for (RegisteredOperationName Op :
       Context.getRegisteredOperationsByDialect("limosa"))
    if (std::string Name = Op.stripDialect().str();
        Op.getInterface<CoreOp>() && !Collectives.count(Name))
      EXPECT_TRUE(Found.Ops.count(Name)) << Name;
  for (DType T :
       {DType::Bool,   DType::I8,         DType::I16,        DType::I32,
        DType::I64,    DType::U8,         DType::U16,        DType::U32,
        DType::U64,    DType::F16,        DType::BF16,       DType::F32,
        DType::F64,    DType::I4,         DType::U4,         DType::F8E4M3FN,
        DType::F8E5M2, DType::F8E4M3FNUZ, DType::F8E5M2FNUZ, DType::F4E2M1FN})
    EXPECT_TRUE(Found.Types.count(T)) << dtypeName(T);
  EXPECT_TRUE(Found.Empty);
  EXPECT_TRUE(Found.Nested);
  EXPECT_TRUE(Found.BatchGroups);
  EXPECT_TRUE(Found.InputDilation);
}

TEST(Generator, IsAFunctionOfTheSeed) {
  MLIRContext Context(MLIRContext::Threading::DISABLED);
  prepareContext(Context);
  auto Text = [&](uint64_t Seed) {
    std::string S;
    llvm::raw_string_ostream OS(S);
    makeRandomGraph(Context, Seed).Module->print(OS);
    return S;
  };
  EXPECT_EQ(Text(7), Text(7));
  EXPECT_NE(Text(7), Text(8));
}

} // namespace
