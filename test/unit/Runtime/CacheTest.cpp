//===- CacheTest.cpp - The persistent cache -------------------------------===//

#include "ProgramBuilder.h"
#include "limosa/Runtime/Compile.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sys/wait.h>
#include <unistd.h>

using namespace limosa;
using namespace limosa::test;
using namespace limosa::runtime;
namespace fs = std::filesystem;

namespace {

class CacheTest : public ::testing::Test {
protected:
  void SetUp() override {
    Folder = fs::path(::testing::TempDir()) /
             ("limosa-cache-test-" + std::to_string(getpid()));
    fs::remove_all(Folder);
    fs::create_directories(Folder);
    setenv("LIMOSA_COMPILER_LIBRARY", LIMOSA_TEST_COMPILER, 1);
  }
  void TearDown() override { fs::remove_all(Folder); }

  /// A model that compiles to itself; models differ by `Tag`.
  std::string model(const std::string &Tag) {
    ProgramBuilder B;
    B.P.name = Tag;
    std::string Path = Folder / (Tag + ".onnx");
    auto Bytes = B.bytes();
    write(Path, {reinterpret_cast<char *>(Bytes.data()), Bytes.size()});
    return Path;
  }
  static void write(const std::string &Path, std::string_view Text) {
    std::ofstream(Path, std::ios::binary) << Text;
  }
  static int compiled(const std::string &Model) {
    std::ifstream Log(Model + ".log");
    int Lines = 0;
    for (std::string Line; std::getline(Log, Line);)
      ++Lines;
    return Lines;
  }
  static limosa_compile_options options(const std::string &Model) {
    limosa_compile_options O = {};
    O.size = sizeof(O);
    O.model_path = Model.c_str();
    return O;
  }
  Cache cache(uint64_t MaxBytes = 0) const {
    return Cache(Folder / "cache" / "limosa", MaxBytes);
  }
  CachedModel load(const Cache &C, const std::string &Model) {
    Status S;
    auto Result = loadOrCompile(C, options(Model), nullptr, nullptr, S);
    EXPECT_TRUE(S.ok()) << S.message();
    return Result;
  }

  fs::path Folder;
};

TEST_F(CacheTest, CompilesOnce) {
  std::string M = model("a");
  EXPECT_FALSE(load(cache(), M).FromCache);
  CachedModel Second = load(cache(), M);
  EXPECT_TRUE(Second.FromCache);
  EXPECT_TRUE(Second.File);
  EXPECT_EQ(compiled(M), 1);
}

TEST_F(CacheTest, Notes) {
  Cache C = cache();
  EXPECT_EQ(C.readNote("a"), std::nullopt);
  EXPECT_TRUE(C.writeNote("a", "first").ok());
  EXPECT_TRUE(C.writeNote("a", "second").ok());
  EXPECT_TRUE(C.writeNote("b", "").ok());
  EXPECT_EQ(C.readNote("a"), "second");
  EXPECT_EQ(C.readNote("b"), "");
  write(C.folder() + "/a.note", std::string(1 << 20, 'x'));
  EXPECT_EQ(C.readNote("a"), std::nullopt);
  // Those that nobody reads go when an entry is added.
  using namespace std::chrono_literals;
  fs::last_write_time(C.folder() + "/a.note",
                      fs::file_time_type::clock::now() - 24h * 100);
  load(C, model("m"));
  EXPECT_FALSE(fs::exists(C.folder() + "/a.note"));
  EXPECT_TRUE(fs::exists(C.folder() + "/b.note"));
}

TEST_F(CacheTest, ReplacesDamagedEntries) {
  std::string M = model("a");
  std::string Entry = load(cache(), M).Path;
  std::string Whole;
  {
    std::ifstream In(Entry, std::ios::binary);
    Whole.assign(std::istreambuf_iterator<char>(In), {});
  }
  for (std::string Bad : {std::string(), std::string("garbage"),
                          Whole.substr(0, Whole.size() / 2)}) {
    fs::remove(Entry);
    write(Entry, Bad);
    CachedModel Again = load(cache(), M);
    EXPECT_FALSE(Again.FromCache);
    EXPECT_TRUE(Again.File);
    EXPECT_TRUE(load(cache(), M).FromCache);
  }
}

TEST_F(CacheTest, IsSharedByProcesses) {
  std::string M = model("a");
  std::vector<pid_t> Children;
  for (int P = 0; P < 6; ++P) {
    pid_t Child = fork();
    if (Child == 0) {
      Status S;
      auto Result = loadOrCompile(cache(), options(M), nullptr, nullptr, S);
      _exit(Result.File && S.ok() ? 0 : 1);
    }
    Children.push_back(Child);
  }
  for (pid_t Child : Children) {
    int Result = -1;
    waitpid(Child, &Result, 0);
    EXPECT_EQ(Result, 0);
  }
  EXPECT_EQ(compiled(M), 1);
}

TEST_F(CacheTest, KeepsWithinItsLimit) {
  std::string A = model("a"), B = model("b"), C = model("c");
  uint64_t Size = fs::file_size(A);
  Cache Small = cache(2 * Size + Size / 2);
  load(Small, A);
  usleep(20000);
  load(Small, B);
  usleep(20000);
  load(Small, A); // used last
  usleep(20000);
  load(Small, C); // B has to go
  EXPECT_TRUE(load(Small, A).FromCache);
  EXPECT_TRUE(load(Small, C).FromCache);
  EXPECT_FALSE(load(Small, B).FromCache);
  // An entry larger than the limit still works.
  Cache Tiny = cache(1);
  EXPECT_TRUE(load(Tiny, A).File);
}

TEST_F(CacheTest, ReportsTheFirstError) {
  std::string M = Folder / "bad.onnx";
  write(M, "not a model");
  Status S;
  auto Result = loadOrCompile(cache(), options(M), nullptr, nullptr, S);
  EXPECT_FALSE(Result.File);
  EXPECT_EQ(S.message(), "the model is no good");
  for (const auto &Entry : fs::directory_iterator(cache().folder()))
    EXPECT_EQ(Entry.path().filename().string().rfind("lock-", 0), 0u)
        << Entry.path();
  std::string Missing = Folder / "missing.onnx";
  loadOrCompile(cache(), options(Missing), nullptr, nullptr, S);
  EXPECT_EQ(S.message(),
            "cannot read '" + Missing + "': No such file or directory");
  setenv("LIMOSA_COMPILER_LIBRARY", "/nowhere/libLimosaCompiler.so", 1);
  loadOrCompile(cache(), options(M), nullptr, nullptr, S);
  EXPECT_EQ(S.code(), LIMOSA_STATUS_NOT_FOUND);
}

TEST_F(CacheTest, ErrorsOfLoadingNameTheModel) {
  ProgramBuilder B("npu");
  std::string M = Folder / "far.onnx";
  auto Bytes = B.bytes();
  write(M, {reinterpret_cast<char *>(Bytes.data()), Bytes.size()});
  Status S;
  auto Ctx = Context::create({}, S);
  ASSERT_TRUE(Ctx) << S.message();
  for (bool FromCache : {false, true}) {
    CachedModel Model = load(cache(), M);
    EXPECT_EQ(Model.FromCache, FromCache);
    EXPECT_FALSE(Module::load(Ctx, Model.File, S));
    EXPECT_EQ(S.message(), M + ": the model needs the device 'npu', which is "
                               "not here: load its plug-in first");
  }
}

TEST_F(CacheTest, KeysDependOnWhatMatters) {
  std::string M = model("a");
  std::set<std::string> Keys;
  auto Add = [&](const limosa_compile_options &O,
                 const std::string &Compiler = "1") {
    std::string Key;
    Status S = Cache::computeKey(O, Compiler, Key);
    EXPECT_TRUE(S.ok()) << S.message();
    EXPECT_EQ(Key.size(), 32u);
    return Keys.insert(Key).second;
  };
  limosa_compile_options O = options(M);
  EXPECT_TRUE(Add(O));
  EXPECT_FALSE(Add(O));
  EXPECT_TRUE(Add(O, "2"));
  O.entry = "main"; // the default
  O.device = "cpu";
  EXPECT_FALSE(Add(O));
  O.isa = "avx2";
  EXPECT_TRUE(Add(O));
  O.threads = 2;
  EXPECT_TRUE(Add(O));
  const char *Flags[] = {"winograd=off"};
  O.flags = Flags;
  O.flag_count = 1;
  EXPECT_TRUE(Add(O));
  // Weights kept outside of the model.
  std::string Outside = Folder / "outside.onnx";
  write(Outside, std::string("\x0a\x08location\x12\x05w.bin", 17));
  O = options(Outside);
  EXPECT_TRUE(Add(O));
  write(Folder / "w.bin", "one");
  EXPECT_TRUE(Add(O));
  write(Folder / "w.bin", "two");
  EXPECT_TRUE(Add(O));
  EXPECT_FALSE(Add(O));
}

} // namespace
