//===- Harness.cpp - Compiled programs against the interpreter ------------===//

#include "Harness.h"

#include "limosa/IR/Serialize.h"
#include "limosa/IR/Symbols.h"
#include "limosa/Reference/Interpreter.h"
#include "limosa/Schema/program_generated.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <random>

namespace limosa::test {

Tensor randomTensor(DType T, reference::Shape Dims, unsigned Seed) {
  Tensor Out = Tensor::make(T, std::move(Dims));
  std::mt19937 Random(Seed);
  std::uniform_real_distribution<float> Real(-2, 2);
  for (int64_t I = 0; I < Out.elements(); ++I)
    switch (T) {
    case DType::F32:
      Out.as<float>()[I] = Real(Random);
      break;
    case DType::F64:
      Out.as<double>()[I] = Real(Random);
      break;
    case DType::I64:
      Out.as<int64_t>()[I] = int64_t(Random() % 8);
      break;
    case DType::I32:
      Out.as<int32_t>()[I] = int32_t(Random() % 8);
      break;
    case DType::Bool:
      Out.as<uint8_t>()[I] = Random() % 2;
      break;
    default:
      ADD_FAILURE() << "no random elements of this type";
      return Out;
    }
  return Out;
}

std::unique_ptr<Model>
Model::compile(const std::string &Mlir, CompileOptions Options,
               const std::vector<limosa_operator> &Operators) {
  mlir::MLIRContext Context(mlir::MLIRContext::Threading::DISABLED);
  prepareContext(Context);
  Options.Verify = true;
  auto Module = mlir::parseSourceString<mlir::ModuleOp>(
      Mlir, mlir::ParserConfig(&Context));
  if (!Module) {
    ADD_FAILURE() << "the module does not parse";
    return nullptr;
  }
  std::vector<uint8_t> Graph;
  for (auto Func : Module->getOps<mlir::func::FuncOp>())
    if (Func->hasAttr(EntryAttrName) && Graph.empty()) {
      auto Serialized = serializeGraph(Func);
      if (!Serialized) {
        ADD_FAILURE() << llvm::toString(Serialized.takeError());
        return nullptr;
      }
      Graph = std::move(*Serialized);
    }
  auto Bytes = compileModule(*Module, Options);
  if (!Bytes) {
    ADD_FAILURE() << llvm::toString(Bytes.takeError());
    return nullptr;
  }
  size_t Size = llvm::alignTo(Bytes->size(), 64);
  std::unique_ptr<uint8_t, void (*)(void *)> Memory(
      static_cast<uint8_t *>(aligned_alloc(64, Size)), free);
  std::memcpy(Memory.get(), Bytes->data(), Bytes->size());
  auto M = load({Memory.get(), Bytes->size()}, Options.Plugins, Operators);
  if (M) {
    M->Memory = std::move(Memory);
    M->Graph = std::move(Graph);
  }
  return M;
}

std::unique_ptr<Model>
Model::load(std::span<const uint8_t> Lim,
            const std::vector<std::string> &Plugins,
            const std::vector<limosa_operator> &Operators) {
  auto M = std::make_unique<Model>();
  runtime::Status S;
  auto File = runtime::LimFile::fromMemory(Lim, S, /*CheckData=*/true);
  limosa_context_options ContextOptions = {};
  ContextOptions.size = sizeof(ContextOptions);
  ContextOptions.threads = 2;
  auto Ctx = File ? runtime::Context::create(ContextOptions, S) : nullptr;
  for (const std::string &Plugin : Plugins)
    if (Ctx && (S = Ctx->loadPlugin(Plugin)))
      Ctx = nullptr;
  for (const limosa_operator &Op : Operators)
    if (Ctx && (S = Ctx->operators().add(Op)))
      Ctx = nullptr;
  if (Ctx)
    M->Loaded = runtime::Module::load(Ctx, File, S);
  if (M->Loaded)
    M->Run = runtime::Instance::create(M->Loaded, S);
  if (!M->Run) {
    ADD_FAILURE() << S.message();
    return nullptr;
  }
  return M;
}

std::vector<Tensor> Model::run(std::vector<Tensor> Inputs, uint32_t Entry) {
  std::vector<limosa_tensor> In;
  for (Tensor &T : Inputs) {
    limosa_tensor X = {};
    X.dtype = uint32_t(T.dtype());
    X.rank = T.rank();
    std::copy(T.dims().begin(), T.dims().end(), X.dims);
    X.data = T.data();
    In.push_back(X);
  }
  const auto *Outputs = program().entries()->Get(Entry)->outputs();
  std::vector<limosa_tensor> Out(Outputs ? Outputs->size() : 0);
  if (runtime::Status S = Run->run(Entry, In, Out)) {
    ADD_FAILURE() << S.message();
    return {};
  }
  std::vector<Tensor> Results;
  for (limosa_tensor &T : Out) {
    // What replaces a state stays there.
    Results.push_back(T.data ? Tensor::fromPacked(DType(T.dtype),
                                                  {T.dims, T.dims + T.rank},
                                                  T.data)
                             : Tensor());
    limosa_tensor_release(&T);
  }
  return Results;
}

std::vector<Tensor> Model::expected(std::vector<Tensor> Inputs) {
  std::vector<Tensor> Out;
  auto S = reference::evaluate(*flatbuffers::GetRoot<fb::Graph>(Graph.data()),
                               std::move(Inputs), Out);
  EXPECT_TRUE(S.ok()) << S.Message;
  return Out;
}

void Model::check(std::vector<Tensor> Inputs, double Tolerance) {
  std::vector<Tensor> Expected = expected(Inputs), Actual = run(Inputs);
  ASSERT_EQ(Actual.size(), Expected.size());
  for (size_t I = 0; I < Actual.size(); ++I)
    expectClose(Actual[I], Expected[I], Tolerance);
}

void expectClose(const Tensor &Actual, const Tensor &Expected,
                 double Tolerance) {
  ASSERT_EQ(Actual.dtype(), Expected.dtype());
  ASSERT_EQ(Actual.dims(), Expected.dims());
  if (Actual.dtype() != DType::F32 && Actual.dtype() != DType::F64) {
    EXPECT_EQ(std::memcmp(Actual.data(), Expected.data(), Actual.bytes()), 0);
    return;
  }
  double Largest = 0, Worst = 0;
  for (int64_t I = 0; I < Actual.elements(); ++I) {
    bool IsF32 = Actual.dtype() == DType::F32;
    double A = IsF32 ? Actual.as<float>()[I] : Actual.as<double>()[I];
    double E = IsF32 ? Expected.as<float>()[I] : Expected.as<double>()[I];
    if (std::isnan(A) && std::isnan(E))
      continue;
    Largest = std::max(Largest, std::abs(E));
    Worst = std::max(Worst, A == E ? 0 : std::abs(A - E));
    ASSERT_FALSE(std::isnan(A - E) && A != E) << A << " for " << E;
  }
  EXPECT_LE(Worst, Tolerance * Largest);
}

} // namespace limosa::test
