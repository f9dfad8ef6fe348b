//===- SerializeTest.cpp - The dialect in graph.fbs and back --------------===//

#include "limosa/IR/Serialize.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Symbols.h"
#include "limosa/IR/Upgrade.h"
#include "limosa/Reference/Interpreter.h"
#include "limosa/Runtime/GraphAccess.h"
#include "mlir/IR/AsmState.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include <gtest/gtest.h>
#include <set>

using namespace mlir;
using namespace limosa;

namespace {

/// test/fixtures/graph-v1: each .mlir with the .graph that version 1 wrote.
std::vector<std::string> fixtures(StringRef Extension) {
  std::vector<std::string> Files;
  std::error_code Code;
  for (llvm::sys::fs::directory_iterator I(LIMOSA_FIXTURES "/graph-v1", Code),
       E;
       I != E && !Code; I.increment(Code))
    if (llvm::sys::path::extension(I->path()) == Extension)
      Files.push_back(I->path());
  std::sort(Files.begin(), Files.end());
  return Files;
}

std::vector<uint8_t> readFile(const std::string &Path) {
  auto Buffer = llvm::MemoryBuffer::getFile(Path);
  if (!Buffer)
    return {};
  return {(*Buffer)->getBuffer().bytes_begin(),
          (*Buffer)->getBuffer().bytes_end()};
}

std::string text(ModuleOp Module) {
  std::string Text;
  llvm::raw_string_ostream Out(Text);
  Module.print(Out, OpPrintingFlags().assumeVerified());
  return Text;
}

class SerializeTest : public testing::Test {
protected:
  SerializeTest() {
    Context.disableMultithreading();
    Context.loadDialect<LimosaDialect, func::FuncDialect>();
  }
  OwningOpRef<ModuleOp> parse(const std::string &Path) {
    return parseSourceFile<ModuleOp>(Path, ParserConfig(&Context));
  }
  std::vector<uint8_t> serialize(ModuleOp Module) {
    auto Bytes = serializeGraph(Module.lookupSymbol<func::FuncOp>("main"));
    EXPECT_TRUE(bool(Bytes)) << llvm::toString(Bytes.takeError());
    return Bytes ? *Bytes : std::vector<uint8_t>();
  }

  MLIRContext Context;
};

} // namespace

TEST_F(SerializeTest, FixturesLoadAsWhatTheyWereWrittenFrom) {
  ASSERT_FALSE(fixtures(".graph").empty());
  for (const std::string &Path : fixtures(".graph")) {
    auto Read = deserializeGraph(Context, readFile(Path));
    ASSERT_TRUE(bool(Read)) << Path << ": " << llvm::toString(Read.takeError());
    auto Source = parse(Path.substr(0, Path.size() - 5) + "mlir");
    ASSERT_TRUE(bool(Source)) << Path;
    EXPECT_EQ(text(**Read), text(*Source)) << Path;
  }
}

TEST_F(SerializeTest, WritingWhatWasReadGivesTheSameBytes) {
  for (const std::string &Path : fixtures(".mlir")) {
    auto Source = parse(Path);
    ASSERT_TRUE(bool(Source)) << Path;
    std::vector<uint8_t> Bytes = serialize(*Source);
    auto Read = deserializeGraph(Context, Bytes);
    ASSERT_TRUE(bool(Read)) << Path << ": " << llvm::toString(Read.takeError());
    EXPECT_EQ(serialize(**Read), Bytes) << Path;
  }
}

TEST_F(SerializeTest, FixturesHoldEveryCoreOp) {
  std::set<StringRef> Seen;
  for (const std::string &Path : fixtures(".mlir")) {
    auto Source = parse(Path);
    ASSERT_TRUE(bool(Source)) << Path;
    Source->walk([&](Operation *Op) {
      Seen.insert(Op->getName().stripDialect());
      auto Core = dyn_cast<CoreOp>(Op);
      if (!Core)
        return;
      IterationSpace Space = Core.getIterationSpace();
      EXPECT_EQ(Space.Operands.size(), Op->getNumOperands()) << Seen.size();
      EXPECT_EQ(Space.Results.size(), Op->getNumResults());
    });
  }
  for (RegisteredOperationName Op :
       Context.getRegisteredOperationsByDialect("limosa"))
    if (Op.getInterface<CoreOp>())
      EXPECT_TRUE(Seen.count(Op.stripDialect()))
          << Op.getStringRef().str() << " is in no fixture";
}

// The bill of what a core op needs; its spec sentence is checked from the ODS
// records by test/python/test_core_ops.py.
TEST_F(SerializeTest, EveryCoreOpHasAReferenceImplementation) {
  unsigned Core = 0;
  for (RegisteredOperationName Op :
       Context.getRegisteredOperationsByDialect("limosa")) {
    auto *Interface = Op.getInterface<CoreOp>();
    if (!Interface)
      continue;
    ++Core;
    EXPECT_TRUE(reference::isImplemented(Op.stripDialect(),
                                         Interface->getDefinitionVersion()))
        << Op.getStringRef().str();
  }
  EXPECT_LE(Core, 50u);
  EXPECT_GT(Core, 40u);
  for (std::string_view Name : reference::implementedOps())
    EXPECT_TRUE(RegisteredOperationName::lookup("limosa." + std::string(Name),
                                                &Context))
        << Name << " is no op of the dialect";
}

TEST_F(SerializeTest, ConstantsKeepTheirBytes) {
  auto Module = parseSourceString<ModuleOp>(
      R"(func.func @main() -> (tensor<3xi4>, tensor<2x5xi1>, tensor<4xf32>) {
           %a = limosa.constant dense<[1, -2, 3]> : tensor<3xi4>
           %b = limosa.constant dense<true> : tensor<2x5xi1>
           %c = limosa.constant dense<0.5> : tensor<4xf32>
           return %a, %b, %c : tensor<3xi4>, tensor<2x5xi1>, tensor<4xf32>
         })",
      ParserConfig(&Context));
  ASSERT_TRUE(bool(Module));
  std::vector<uint8_t> Bytes = serialize(*Module);
  std::vector<reference::Tensor> Out;
  reference::Status S = reference::evaluate(
      *flatbuffers::GetRoot<fb::Graph>(Bytes.data()), {}, Out);
  ASSERT_TRUE(S.ok()) << S.Message;
  EXPECT_EQ(reference::elementValue(Out[0], 1), -2);
  EXPECT_EQ(Out[0].packedBytes(), 2);
  EXPECT_EQ(reference::elementValue(Out[1], 9), 1);
  EXPECT_EQ(reference::elementValue(Out[2], 3), 0.5);
  SerializeOptions Small;
  Small.MaxConstantBytes = 8;
  auto Refused =
      serializeGraph(Module->lookupSymbol<func::FuncOp>("main"), Small);
  EXPECT_FALSE(bool(Refused));
  llvm::consumeError(Refused.takeError());
}

TEST_F(SerializeTest, RefusesWhatItCannotWrite) {
  auto Module = parseSourceString<ModuleOp>(
      R"(func.func private @f(%a: tensor<?xf32>) -> tensor<?xf32>
         func.func @main(%a: tensor<?xf32>) -> tensor<?xf32> {
           %b = call @f(%a) : (tensor<?xf32>) -> tensor<?xf32>
           return %b : tensor<?xf32>
         })",
      ParserConfig(&Context));
  ASSERT_TRUE(bool(Module));
  auto Bytes = serializeGraph(Module->lookupSymbol<func::FuncOp>("main"));
  EXPECT_FALSE(bool(Bytes));
  llvm::consumeError(Bytes.takeError());
}

// Damaged files are errors for every reader, never crashes.
TEST_F(SerializeTest, SurvivesDamage) {
  for (const std::string &Path : fixtures(".graph")) {
    std::vector<uint8_t> Good = readFile(Path);
    uint32_t State = 12345;
    auto Next = [&] { return State = State * 1664525 + 1013904223; };
    for (unsigned Round = 0; Round < 300; ++Round) {
      std::vector<uint8_t> Bad = Good;
      for (unsigned I = 0; I <= Round % 3; ++I)
        Bad[(Next() >> 8) % Bad.size()] ^= uint8_t(1u << (Next() >> 29));
      auto Read = deserializeGraph(Context, Bad);
      if (!Read)
        llvm::consumeError(Read.takeError());
      std::string Error;
      auto Access = runtime::GraphAccess::create(Bad, Error);
      if (!Access)
        continue;
      const limosa_graph_api &Api = *runtime::graphApi();
      const limosa_region *Body = Api.graph_body(Access->handle());
      std::vector<reference::Tensor> In, Out;
      for (uint32_t I = 0; I < Api.region_arg_count(Body); ++I) {
        uint32_t V = Api.region_arg(Body, I);
        reference::Shape Dims;
        for (uint32_t D = 0; D < Api.value_rank(Access->handle(), V); ++D)
          Dims.push_back(
              std::max(1, std::min(8, std::atoi(Api.value_dim_text(
                                          Access->handle(), V, D)))));
        auto T = reference::Tensor::make(
            DType(Api.value_dtype(Access->handle(), V)), Dims);
        std::fill_n(T.data(), T.bytes(), uint8_t(0));
        In.push_back(T);
      }
      reference::EvaluateOptions Options;
      Options.MemoryLimit = 1 << 24;
      Options.StepLimit = 1000;
      reference::Status S =
          reference::evaluate(Api, Access->handle(), In, Out, Options);
      EXPECT_TRUE(S.ok() || !S.Message.empty());
    }
  }
}

//===----------------------------------------------------------------------===//
// Upgrading
//===----------------------------------------------------------------------===//

// As if `slice` had got its steps in version 3 and been `cut` in no version.
static constexpr Upgrader TestTable[] = {
    {"slice", 1, [](fb::OpT &, fb::GraphT &, std::string &) { return true; }},
    {"slice", 2,
     [](fb::OpT &Op, fb::GraphT &, std::string &Error) {
       if (Op.operands.size() != 1) {
         Error = "slice takes one operand";
         return false;
       }
       auto Steps = std::make_unique<fb::AttrT>();
       Steps->name = "steps";
       Steps->kind = fb::AttrKind::Ints;
       Steps->ints = {1};
       Op.attrs.push_back(std::move(Steps));
       return true;
     }},
};

static uint16_t testVersion(std::string_view Op) {
  return Op == "slice" ? 3 : Op == "neg" ? 1 : 0;
}

static fb::GraphT graphOf(const char *Name, uint16_t Version) {
  fb::GraphT Graph;
  Graph.body = std::make_unique<fb::RegionT>();
  Graph.body->ops.push_back(std::make_unique<fb::OpT>());
  Graph.body->ops[0]->name = Name;
  Graph.body->ops[0]->version = Version;
  Graph.body->ops[0]->operands = {0};
  return Graph;
}

TEST(Upgrade, GoesStepByStepToTheCurrentVersion) {
  std::string Error;
  fb::GraphT Old = graphOf("slice", 1);
  ASSERT_TRUE(upgradeGraph(Old, testVersion, Error, TestTable)) << Error;
  EXPECT_EQ(Old.body->ops[0]->version, 3);
  EXPECT_EQ(Old.body->ops[0]->attrs.size(), 1u);
  fb::GraphT Current = graphOf("slice", 3);
  ASSERT_TRUE(upgradeGraph(Current, testVersion, Error, TestTable));
  EXPECT_TRUE(Current.body->ops[0]->attrs.empty());
}

TEST(Upgrade, RefusesWhatItDoesNotKnow) {
  std::string Error;
  fb::GraphT Newer = graphOf("neg", 2);
  EXPECT_FALSE(upgradeGraph(Newer, testVersion, Error, TestTable));
  EXPECT_NE(Error.find("newer version"), std::string::npos);
  fb::GraphT Unknown = graphOf("cut", 1);
  EXPECT_FALSE(upgradeGraph(Unknown, testVersion, Error, TestTable));
  fb::GraphT NoWay = graphOf("slice", 0);
  EXPECT_FALSE(upgradeGraph(NoWay, testVersion, Error, TestTable));
}
