//===- RunTest.cpp - Whole programs through every layer -------------------===//

#include "Harness.h"

#include "limosa/Schema/program_generated.h"

#include "mlir/Parser/Parser.h"
#include "llvm/Support/FileSystem.h"

#include <cmath>
#include <cstdlib>
#include <dlfcn.h>
#include <gtest/gtest.h>

using namespace limosa;
using namespace limosa::test;

namespace {

TEST(Run, PointwiseWithSymbols) {
  auto M = Model::compile(R"mlir(
    !t = tensor<?x?xf32, #limosa.enc<["N", "S"]>>
    func.func @main(%a: !t {limosa.name = "a"}, %b: !t {limosa.name = "b"})
        -> (!t {limosa.name = "y"}) attributes {limosa.entry} {
      %0 = limosa.mul %a, %b : (!t, !t) -> !t
      %1 = limosa.exp %0 : (!t) -> !t
      %2 = limosa.add %1, %a : (!t, !t) -> !t
      return %2 : !t
    })mlir");
  ASSERT_TRUE(M);
  EXPECT_EQ(M->program().kernels()->size(), 1u);
  for (auto [N, S] : {std::pair{1, 1}, {3, 7}, {16, 64}, {0, 5}, {129, 33}})
    M->check({randomTensor(DType::F32, {N, S}, 1),
              randomTensor(DType::F32, {N, S}, 2)});
}

TEST(Run, ViewsAndDims) {
  auto M = Model::compile(R"mlir(
    !t = tensor<?x?xf32, #limosa.enc<["N", "S"]>>
    !f = tensor<?xf32, #limosa.enc<["N*S"]>>
    func.func @main(%a: !t) -> (!f, tensor<i64>, !t) attributes {limosa.entry} {
      %0 = limosa.neg %a : (!t) -> !t
      %1 = limosa.reshape %0 : (!t) -> !f
      %2 = limosa.dim {expr = "2*N + S"} : () -> tensor<i64>
      return %1, %2, %a : !f, tensor<i64>, !t
    })mlir");
  ASSERT_TRUE(M);
  M->check({randomTensor(DType::F32, {3, 5})});
  M->check({randomTensor(DType::F32, {1, 1})});
}

/// --emit=obj: linked into a library, the model runs from where the linker put
/// it, without a file and without mapping code.
TEST(Run, LinkedObject) {
  llvm::SmallString<128> Folder;
  ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("limosa", Folder));
  std::string Object = (Folder + "/model.o").str();
  std::string Library = (Folder + "/model.so").str();
  {
    mlir::MLIRContext Context;
    prepareContext(Context);
    auto Module = mlir::parseSourceString<mlir::ModuleOp>(R"mlir(
      !t = tensor<?xf32, #limosa.enc<["N"]>>
      func.func @main(%a: !t) -> !t attributes {limosa.entry} {
        %0 = limosa.exp %a : (!t) -> !t
        return %0 : !t
      })mlir",
                                                          &Context);
    ASSERT_TRUE(Module);
    CompileOptions Options;
    Options.ModelName = "my-model";
    llvm::Error E =
        compileModuleToFile(*Module, Options, EmitKind::Object, Object);
    ASSERT_FALSE(bool(E)) << llvm::toString(std::move(E));
  }
  ASSERT_EQ(std::system(("cc -shared -o " + Library + " " + Object).c_str()),
            0);
  void *Handle = dlopen(Library.c_str(), RTLD_NOW);
  ASSERT_TRUE(Handle) << dlerror();
  auto *Begin = static_cast<const uint8_t *>(dlsym(Handle, "my_model"));
  auto *Size = static_cast<const uint64_t *>(dlsym(Handle, "my_model_size"));
  ASSERT_TRUE(Begin && Size);
  auto M = Model::load({Begin, *Size});
  ASSERT_TRUE(M);
  Tensor X = Tensor::of(DType::F32, {3}, std::vector<float>{0, 1, 2});
  std::vector<Tensor> Out = M->run({X});
  ASSERT_EQ(Out.size(), 1u);
  expectClose(Out[0],
              Tensor::of(DType::F32, {3},
                         std::vector<float>{1, std::exp(1.f), std::exp(2.f)}),
              1e-5);
  EXPECT_TRUE(dlsym(Handle, "my_model_k0_exp"));
  M.reset();
  dlclose(Handle);
  llvm::sys::fs::remove_directories(Folder);
}

} // namespace
