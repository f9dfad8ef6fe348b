//===- limosa-ref.cpp - Runs functions on the reference interpreter -------===//

#include "Npy.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Serialize.h"
#include "limosa/Reference/Interpreter.h"
#include "limosa/Runtime/GraphAccess.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace llvm;
using namespace limosa;
using reference::Status;
using reference::Tensor;

static cl::OptionCategory Category("limosa-ref");
static cl::list<std::string> Files(cl::Positional, cl::OneOrMore,
                                   cl::desc("<file.mlir | file.graph>..."),
                                   cl::cat(Category));
static cl::list<std::string>
    Inputs("input",
           cl::desc("Input arrays, in order (the default is the "
                    "file's name with .in0.npy, .in1.npy ..)"),
           cl::value_desc("file.npy"), cl::cat(Category));
static cl::opt<bool>
    Print("print",
          cl::desc("Print the results instead of writing .out0.npy .."),
          cl::cat(Category));
static cl::opt<bool>
    WriteGraph("write-graph",
               cl::desc("Only write file.graph, the serialised form"),
               cl::cat(Category));
static cl::opt<std::string> EntryName("function",
                                     cl::desc("The function to run"),
                                     cl::init("main"), cl::cat(Category));

/// The serialised form of a .mlir or .graph file.
static Expected<std::vector<uint8_t>> loadGraph(mlir::MLIRContext &Context,
                                                StringRef Path) {
  if (Path.ends_with(".graph")) {
    auto Buffer = MemoryBuffer::getFile(Path);
    if (!Buffer)
      return createStringError(Buffer.getError(), Buffer.getError().message());
    StringRef Bytes = (*Buffer)->getBuffer();
    return std::vector<uint8_t>(Bytes.bytes_begin(), Bytes.bytes_end());
  }
  auto Module =
      mlir::parseSourceFile<mlir::ModuleOp>(Path, mlir::ParserConfig(&Context));
  if (!Module)
    return createStringError("cannot be parsed");
  auto Func = Module->lookupSymbol<mlir::func::FuncOp>(EntryName);
  if (!Func)
    return createStringError("has no function '" + EntryName + "'");
  return serializeGraph(Func);
}

static void print(const Tensor &T) {
  outs() << dtypeName(T.dtype());
  for (int64_t D : T.dims())
    outs() << " " << D;
  outs() << ":";
  for (int64_t I = 0; I < T.elements(); ++I) {
    outs() << " ";
    if (T.dtype() == DType::I64)
      outs() << T.as<int64_t>()[I];
    else if (T.dtype() == DType::U64)
      outs() << T.as<uint64_t>()[I];
    else
      outs() << formatv("{0}", reference::elementValue(T, I));
  }
  outs() << "\n";
}

static Error runFile(mlir::MLIRContext &Context, StringRef Path) {
  auto Bytes = loadGraph(Context, Path);
  if (!Bytes)
    return Bytes.takeError();
  SmallString<128> Stem = Path;
  sys::path::replace_extension(Stem, "");
  if (WriteGraph) {
    std::error_code Code;
    raw_fd_ostream Out((Stem + ".graph").str(), Code);
    Out.write(reinterpret_cast<const char *>(Bytes->data()), Bytes->size());
    return Code ? createStringError(Code, Code.message()) : Error::success();
  }
  std::string Why;
  auto Access = runtime::GraphAccess::create(*Bytes, Why);
  if (!Access)
    return createStringError(Why);
  const limosa_graph_api &Api = *runtime::graphApi();
  const limosa_region *Body = Api.graph_body(Access->handle());
  auto Check = [](Status S) {
    return S.ok() ? Error::success() : createStringError(S.Message);
  };
  std::vector<Tensor> Args(Api.region_arg_count(Body)), Results;
  for (uint32_t I = 0; I < Args.size(); ++I) {
    std::string File = I < Inputs.size()
                           ? Inputs[I]
                           : (Stem + ".in" + Twine(I) + ".npy").str();
    DType T = DType(Api.value_dtype(Access->handle(), Api.region_arg(Body, I)));
    if (Error E = Check(reference::readNpy(File, T, Args[I])))
      return E;
  }
  if (Error E = Check(
          reference::evaluate(Api, Access->handle(), std::move(Args), Results)))
    return E;
  for (size_t I = 0; I < Results.size(); ++I) {
    if (Print)
      print(Results[I]);
    else if (Error E = Check(reference::writeNpy(
                 (Stem + ".out" + Twine(I) + ".npy").str(), Results[I])))
      return E;
  }
  return Error::success();
}

int main(int Argc, char **Argv) {
  cl::HideUnrelatedOptions(Category);
  cl::ParseCommandLineOptions(
      Argc, Argv, "Runs functions of core ops on the reference interpreter\n");
  mlir::MLIRContext Context(mlir::MLIRContext::Threading::DISABLED);
  Context.loadDialect<LimosaDialect, mlir::func::FuncDialect>();
  bool Failed = false;
  for (const std::string &Path : Files)
    if (Error E = runFile(Context, Path)) {
      errs() << "limosa-ref: " << Path << ": " << toString(std::move(E))
             << "\n";
      Failed = true;
    }
  return Failed;
}
