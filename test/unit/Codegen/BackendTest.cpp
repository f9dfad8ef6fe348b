//===- BackendTest.cpp - Kernels from MLIR text to running code -----------===//

#include "Disassembly.h"
#include "Harness.h"
#include <gtest/gtest.h>

using namespace limosa;
using namespace limosa::test;

namespace {

class Backend : public testing::TestWithParam<std::string> {
protected:
  std::unique_ptr<LoadedImage> compile(llvm::StringRef Text,
                                       unsigned Threads = 1) {
    auto Image = compileText(Text, GetParam(), Threads);
    if (Image)
      return std::move(*Image);
    ADD_FAILURE() << llvm::toString(Image.takeError());
    return nullptr;
  }
  std::string error(llvm::StringRef Text) {
    auto Image = compileText(Text, GetParam());
    return Image ? "no error" : llvm::toString(Image.takeError());
  }
};
INSTANTIATE_TEST_SUITE_P(Isa, Backend, testing::ValuesIn(allIsas()),
                         [](const auto &Info) { return Info.param; });

/// The start of a kernel with `Buffers` buffers as memrefs %m0, %m1, ..
std::string prologue(llvm::StringRef Name,
                     llvm::ArrayRef<llvm::StringRef> Buffers) {
  std::string Text = "llvm.func @" + Name.str() +
                     "(%ctx: !llvm.ptr, %scalars: !llvm.ptr, %buffers: "
                     "!llvm.ptr, %begin: i64, %end: i64) -> i32 {\n"
                     "  %lo = arith.index_cast %begin : i64 to index\n"
                     "  %hi = arith.index_cast %end : i64 to index\n"
                     "  %ok = arith.constant 0 : i32\n"
                     "  %c0 = arith.constant 0 : index\n"
                     "  %c1 = arith.constant 1 : index\n"
                     "  %n64 = llvm.load %scalars : !llvm.ptr -> i64\n"
                     "  %n = arith.index_cast %n64 : i64 to index\n";
  for (size_t I = 0; I < Buffers.size(); ++I)
    Text += llvm::formatv(
        "  %g{0} = llvm.getelementptr %buffers[{0}] : (!llvm.ptr) -> "
        "!llvm.ptr, !llvm.ptr\n"
        "  %p{0} = llvm.load %g{0} : !llvm.ptr -> !llvm.ptr\n"
        "  %m{0} = builtin.unrealized_conversion_cast %p{0} : !llvm.ptr to "
        "memref<?x{1}>\n",
        I, Buffers[I]);
  return Text;
}

TEST_P(Backend, AddsWithMaskedTail) {
  std::string Text = prologue("add", {"f32", "f32", "f32"}) + R"(
    %c16 = arith.constant 16 : index
    %pad = arith.constant dense<0.0> : vector<16xf32>
    scf.for %t = %lo to %hi step %c1 {
      %i = arith.muli %t, %c16 : index
      %left = arith.subi %n, %i : index
      %mask = vector.create_mask %left : vector<16xi1>
      %a = vector.maskedload %m0[%i], %mask, %pad
        : memref<?xf32>, vector<16xi1>, vector<16xf32> into vector<16xf32>
      %b = vector.maskedload %m1[%i], %mask, %pad
        : memref<?xf32>, vector<16xi1>, vector<16xf32> into vector<16xf32>
      %s = arith.addf %a, %b : vector<16xf32>
      vector.maskedstore %m2[%i], %mask, %s
        : memref<?xf32>, vector<16xi1>, vector<16xf32>
    }
    llvm.return %ok : i32
  })";
  auto Image = compile(Text);
  ASSERT_TRUE(Image);
  for (int64_t N : {0, 1, 15, 16, 17, 100}) {
    std::vector<float> A(N + 16, 1.5f), B(N + 16, 2.0f), C(N + 16, -1.0f);
    A[0] = -7;
    EXPECT_EQ(0, Image->run("add", {N}, {A.data(), B.data(), C.data()}, 0,
                            (N + 15) / 16));
    for (int64_t I = 0; I < N + 16; ++I)
      EXPECT_EQ(I < N ? A[I] + B[I] : -1.0f, C[I]) << I << " of " << N;
  }
}

/// One lane of a truncated vector is as wide as its element: LLVM 22 by itself
/// stores 32 bits here.
TEST_P(Backend, StoresOneNarrowLane) {
  std::string Text = prologue("narrow", {"i32", "i16"}) + R"(
    %mask = vector.create_mask %c1 : vector<16xi1>
    %v = vector.load %m0[%c0] : memref<?xi32>, vector<16xi32>
    %t = arith.trunci %v : vector<16xi32> to vector<16xi16>
    vector.maskedstore %m1[%c0], %mask, %t
      : memref<?xi16>, vector<16xi1>, vector<16xi16>
    llvm.return %ok : i32
  })";
  auto Image = compile(Text);
  ASSERT_TRUE(Image);
  std::vector<int32_t> From(16, 0x00050003);
  std::vector<int16_t> To(16, -1);
  EXPECT_EQ(0, Image->run("narrow", {0}, {From.data(), To.data()}, 0, 1));
  EXPECT_EQ(To[0], 3);
  EXPECT_EQ(To[1], -1);
}

TEST_P(Backend, KeepsARegisterTileInRegisters) {
  // A 4 x 32 (or 4 x 16) tile: the accumulators are carried by the loop.
  std::string Text = prologue("tile", {"f32", "f32", "f32"}) + R"(
    %c2 = arith.constant 2 : index
    %c3 = arith.constant 3 : index
    %c4 = arith.constant 4 : index
    %c16 = arith.constant 16 : index
    %zero = arith.constant dense<0.0> : vector<4x16xf32>
    %acc = scf.for %k = %c0 to %n step %c1 iter_args(%c = %zero) -> (vector<4x16xf32>) {
      %ka = arith.muli %k, %c4 : index
      %kb = arith.muli %k, %c16 : index
      %a = vector.load %m0[%ka] : memref<?xf32>, vector<4xf32>
      %b = vector.load %m1[%kb] : memref<?xf32>, vector<16xf32>
      %r = vector.outerproduct %a, %b, %c {kind = #vector.kind<add>}
        : vector<4xf32>, vector<16xf32>
      scf.yield %r : vector<4x16xf32>
    }
    %flat = vector.shape_cast %acc : vector<4x16xf32> to vector<64xf32>
    vector.store %flat, %m2[%c0] : memref<?xf32>, vector<64xf32>
    llvm.return %ok : i32
  })";
  auto Image = compile(Text);
  ASSERT_TRUE(Image);
  constexpr int64_t K = 9;
  std::vector<float> A(4 * K), B(16 * K), C(64);
  for (int64_t I = 0; I < 4 * K; ++I)
    A[I] = I % 7 - 3;
  for (int64_t I = 0; I < 16 * K; ++I)
    B[I] = I % 5 - 2;
  EXPECT_EQ(0, Image->run("tile", {K}, {A.data(), B.data(), C.data()}, 0, 1));
  for (int64_t M = 0; M < 4; ++M)
    for (int64_t N = 0; N < 16; ++N) {
      float Sum = 0;
      for (int64_t I = 0; I < K; ++I)
        Sum += A[I * 4 + M] * B[I * 16 + N];
      EXPECT_EQ(Sum, C[M * 16 + N]);
    }
  auto Loops = innermostLoops(disassemble(Image->code("tile")));
  ASSERT_EQ(1u, Loops.size());
  EXPECT_EQ(0u, countSpills(Loops[0]));
  EXPECT_EQ(GetParam() == "avx512" ? 4u : 8u,
            countMatching(Loops[0], "vfmadd"));
}

TEST_P(Backend, SharesHelpersAndManyParts) {
  std::string Text =
      "llvm.func internal @twice(%x: i64) -> i64 attributes {no_inline} {\n"
      "  %r = llvm.add %x, %x : i64\n  llvm.return %r : i64\n}\n";
  for (int I = 0; I < 40; ++I) {
    Text += prologue("k" + std::to_string(I), {"i64"});
    for (int J = 0; J < 100; ++J) // enough for several parts
      Text += llvm::formatv("  %x{0} = arith.constant {0} : index\n"
                            "  memref.store %n64, %m0[%x{0}] : memref<?xi64>\n",
                            J);
    Text += llvm::formatv("  %a = llvm.mlir.constant({0} : i64) : i64\n"
                          "  %b = llvm.call @twice(%a) : (i64) -> i64\n"
                          "  memref.store %b, %m0[%c0] : memref<?xi64>\n"
                          "  llvm.return %ok : i32\n}\n",
                          I);
  }
  auto Image = compile(Text, /*Threads=*/2);
  ASSERT_TRUE(Image);
  for (int I = 0; I < 40; ++I) {
    std::vector<int64_t> Out(100);
    EXPECT_EQ(0, Image->run("k" + std::to_string(I), {7}, {Out.data()}, 0, 1));
    EXPECT_EQ(2 * I, Out[0]);
    EXPECT_EQ(7, Out[99]);
  }
}

TEST_P(Backend, BytesDoNotDependOnThreads) {
  std::string Text;
  for (int I = 0; I < 30; ++I) {
    Text += prologue("k" + std::to_string(I), {"i64"});
    for (int J = 0; J < 100; ++J)
      Text += llvm::formatv("  %x{0} = arith.constant {0} : index\n"
                            "  memref.store %n64, %m0[%x{0}] : memref<?xi64>\n",
                            J);
    Text += "  llvm.return %ok : i32\n}\n";
  }
  // Also in a context without threads of its own.
  std::vector<uint8_t> First;
  for (bool ContextThreads : {true, false})
    for (unsigned Threads : {1, 3}) {
      auto Context = makeContext();
      if (!ContextThreads)
        Context->disableMultithreading();
      auto Module =
          mlir::parseSourceString<mlir::ModuleOp>(Text, Context.get());
      BackendOptions Options;
      Options.Target = llvm::cantFail(getTargetInfo(GetParam()));
      Options.Threads = Threads;
      BackendTimings Timings;
      auto Objects =
          llvm::cantFail(compileToObjects(*Module, Options, &Timings));
      EXPECT_GT(Objects.size(), 1u);
      EXPECT_GT(Timings.Emit, 0);
      EXPECT_EQ(ContextThreads, Context->isMultithreadingEnabled());
      std::vector<uint8_t> Image = llvm::cantFail(linkImage(Objects));
      if (First.empty())
        First = Image;
      EXPECT_EQ(First, Image);
    }
}

TEST_P(Backend, CopiesWithoutLibrary) {
  std::string Text = prologue("copy", {"i8", "i8"}) + R"(
    "llvm.intr.memcpy"(%p1, %p0, %n64) <{isVolatile = false}> : (!llvm.ptr, !llvm.ptr, i64) -> ()
    llvm.return %ok : i32
  })";
  auto Image = compile(Text);
  ASSERT_TRUE(Image);
  std::vector<uint8_t> A(1000), B(1000);
  for (size_t I = 0; I < A.size(); ++I)
    A[I] = I * 7;
  EXPECT_EQ(0, Image->run("copy", {999}, {A.data(), B.data()}, 0, 1));
  EXPECT_TRUE(std::equal(A.begin(), A.end() - 1, B.begin()));
  EXPECT_EQ(0, B[999]);
}

TEST_P(Backend, RefusesLibraryCallsByName) {
  std::string Text = "llvm.func @puts(!llvm.ptr) -> i32\n" +
                     prologue("talk", {"i8"}) +
                     "  %r = llvm.call @puts(%p0) : (!llvm.ptr) -> i32\n"
                     "  llvm.return %r : i32\n}\n";
  EXPECT_EQ("undefined symbol puts, used in .text.talk: kernels cannot call "
            "libraries",
            error(Text));
}

TEST_P(Backend, NamesWhatItCannotLower) {
  EXPECT_NE("no error", error(prologue("odd", {"f32"}) +
                              "  %x = memref.load %m0[%c0] : memref<?xf32>\n"
                              "  %y = math.acosh %x : f32\n"
                              "  memref.store %y, %m0[%c0] : memref<?xf32>\n"
                              "  llvm.return %ok : i32\n}\n"));
}

} // namespace
