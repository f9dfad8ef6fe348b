//===- ImageLinkerTest.cpp - The image as others see it -------------------===//

#include "Harness.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Program.h"
#include <dlfcn.h>
#include <gtest/gtest.h>

using namespace limosa;
using namespace limosa::test;

namespace {

constexpr char Text[] = R"(
llvm.mlir.global internal constant @table(dense<[3, 5, 7, 11]> : tensor<4xi64>) : !llvm.array<4 x i64>
llvm.func @pick(%ctx: !llvm.ptr, %scalars: !llvm.ptr, %buffers: !llvm.ptr, %begin: i64, %end: i64) -> i32 {
  %t = llvm.mlir.addressof @table : !llvm.ptr
  %g = llvm.getelementptr %t[%begin] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %v = llvm.load %g : !llvm.ptr -> i64
  %r = llvm.trunc %v : i64 to i32
  llvm.return %r : i32
}
llvm.func @one(%ctx: !llvm.ptr, %scalars: !llvm.ptr, %buffers: !llvm.ptr, %begin: i64, %end: i64) -> i32 {
  %r = llvm.mlir.constant(1 : i32) : i32
  llvm.return %r : i32
}
)";

std::vector<uint8_t> makeImage() {
  auto Context = makeContext();
  auto Module = mlir::parseSourceString<mlir::ModuleOp>(Text, Context.get());
  BackendOptions Options;
  Options.Target = llvm::cantFail(getTargetInfo("avx2"));
  auto Objects = llvm::cantFail(compileToObjects(*Module, Options));
  return llvm::cantFail(linkImage(Objects));
}

/// Writes bytes to a file that is removed at the end.
struct TemporaryFile {
  TemporaryFile(llvm::StringRef Suffix, llvm::ArrayRef<uint8_t> Bytes) {
    int Fd;
    EXPECT_FALSE(
        llvm::sys::fs::createTemporaryFile("limosa", Suffix, Fd, Path));
    llvm::raw_fd_ostream(Fd, /*shouldClose=*/true) << llvm::toStringRef(Bytes);
  }
  ~TemporaryFile() { llvm::sys::fs::remove(Path); }
  llvm::SmallString<128> Path;
};

TEST(ImageLinker, IsDeterministicAndListsKernels) {
  std::vector<uint8_t> Image = makeImage();
  EXPECT_EQ(Image, makeImage());
  auto Symbols = llvm::cantFail(readImageSymbols(Image));
  ASSERT_EQ(2u, Symbols.size());
  EXPECT_EQ("one", Symbols[0].Name);
  EXPECT_EQ("pick", Symbols[1].Name);
}

TEST(ImageLinker, SystemLoaderUnderstandsImage) {
  TemporaryFile File("so", makeImage());
  void *Library = dlopen(File.Path.c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_TRUE(Library) << dlerror();
  auto Pick = reinterpret_cast<LimosaKernelFn>(dlsym(Library, "pick"));
  ASSERT_TRUE(Pick) << dlerror();
  EXPECT_EQ(7, Pick(nullptr, nullptr, nullptr, 2, 0));
  EXPECT_FALSE(dlsym(Library, "absent"));
  dlclose(Library);
}

TEST(ImageLinker, ObjectLinksWithSystemLinker) {
  const uint8_t Blob[] = {42, 43};
  auto Object = llvm::cantFail(
      makeObject(makeImage(), "model_", {{"model_blob", Blob, 64}}));
  TemporaryFile File("o", Object), Shared("so", {});
  auto Linker = llvm::sys::findProgramByName("ld.lld-22");
  if (!Linker)
    GTEST_SKIP() << "no ld.lld-22";
  ASSERT_EQ(0, llvm::sys::ExecuteAndWait(*Linker, {*Linker, "-shared", "-o",
                                                   Shared.Path, File.Path}));
  void *Library = dlopen(Shared.Path.c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_TRUE(Library) << dlerror();
  auto Pick = reinterpret_cast<LimosaKernelFn>(dlsym(Library, "model_pick"));
  ASSERT_TRUE(Pick);
  EXPECT_EQ(11, Pick(nullptr, nullptr, nullptr, 3, 0));
  auto *Data = static_cast<uint8_t *>(dlsym(Library, "model_blob"));
  ASSERT_TRUE(Data);
  EXPECT_EQ(43, Data[1]);
  dlclose(Library);
}

TEST(ImageLinker, RefusesDamage) {
  ObjectCode Garbage;
  Garbage.Bytes.assign(100, 'x');
  auto Image = linkImage(Garbage);
  EXPECT_FALSE(static_cast<bool>(Image));
  llvm::consumeError(Image.takeError());
}

} // namespace
