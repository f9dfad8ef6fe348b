//===- Session.cpp - A model that a command works on ----------------------===//

#include "Session.h"
#include "ReferenceDevice.h"
#include "limosa/Runtime/Compile.h"
#include "limosa/Runtime/SymbolExpr.h"

#include <CLI/CLI.hpp>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <sstream>
#include <unistd.h>

using namespace limosa;
using namespace limosa::tool;
using runtime::invalidArgument;

void ModelOptions::addCompileOptionsTo(CLI::App &Command) {
  Command.add_option("model", Path, "the model: .onnx, or compiled: .lim")
      ->required()
      ->type_name("FILE");
  Command
      .add_option("-d,--device", Device,
                  "device, or several by preference: npu,cpu")
      ->capture_default_str();
  Command.add_option("--isa", Isa, "auto (this machine), avx2, avx512 ...")
      ->capture_default_str();
  Command
      .add_option("--precision", Precision,
                  "f32, or bf16: weights and values between kernels are "
                  "stored as bf16")
      ->check(CLI::IsMember({"f32", "bf16"}))
      ->capture_default_str();
  Command
      .add_option("--memory", Memory,
                  "fast, or small: nothing that is faster for more memory")
      ->check(CLI::IsMember({"fast", "small"}))
      ->capture_default_str();
  Command.add_flag("--tune", Tune,
                   "times kernels in several ways and takes the fastest: "
                   "compiling takes far longer");
  Command.add_option("-t,--threads", Threads, "worker threads; 0: all")
      ->capture_default_str();
  Command.add_option("--entry", Entry,
                     "entry of the model; default: the first");
  Command.add_option("--plugin", Plugins, "shared library of a device to load")
      ->take_all();
  Command
      .add_option("--operators", OperatorLibraries,
                  "shared library with operators to load")
      ->allow_extra_args(false)
      ->take_all();
  Command.add_option("-f,--flag", Flags, "further compiler option, KEY=VALUE")
      ->take_all();
}

void ModelOptions::addTo(CLI::App &Command) {
  addCompileOptionsTo(Command);
  Command.add_flag("--no-cache", NoCache, "compile again, and do not keep it");
}

limosa_compile_options ModelOptions::compileOptions() {
  FlagPointers.clear();
  PluginPointers.clear();
  TuneFlags.clear();
  if (Tune) {
    TuneFlags.push_back(NoCache ? "tune=again" : "tune=on");
    for (const std::string &Size : TuneSizes)
      TuneFlags.push_back("tune." + Size);
  }
  for (const std::string &Flag : Flags)
    FlagPointers.push_back(Flag.c_str());
  for (const std::string &Flag : TuneFlags)
    FlagPointers.push_back(Flag.c_str());
  if (isBf16())
    FlagPointers.push_back("precision=bf16");
  if (Memory == "small")
    FlagPointers.push_back("memory=small");
  for (const std::string &Plugin : Plugins)
    PluginPointers.push_back(Plugin.c_str());
  limosa_compile_options Options = {};
  Options.size = sizeof(Options);
  Options.model_path = Path.c_str();
  Options.device = Device.c_str();
  Options.isa = Isa.c_str();
  Options.threads = Threads;
  Options.flags = FlagPointers.data();
  Options.flag_count = uint32_t(FlagPointers.size());
  Options.plugins = PluginPointers.data();
  Options.plugin_count = uint32_t(PluginPointers.size());
  Operators.addTo(Options);
  return Options;
}

Status ModelOptions::loadOperators(runtime::OperatorRegistry &Registry) {
  for (const std::string &Path : OperatorLibraries)
    if (Status S = Registry.load(Path))
      return S;
  Operators = Registry.tables();
  return {};
}

std::string ArgumentInfo::text() const {
  return fmt::format("{}[{}]", dtypeName(Type), fmt::join(Dims, ", "));
}

std::optional<int64_t> tool::evaluate(const std::string &Expression,
                                      const SymbolValues &Symbols) {
  std::vector<int64_t> Values;
  std::string Error;
  auto Expr = runtime::SymbolExpr::parse(
      Expression,
      [&](std::string_view Name) -> std::optional<uint32_t> {
        auto Found = Symbols.find(std::string(Name));
        if (Found == Symbols.end())
          return std::nullopt;
        Values.push_back(Found->second);
        return uint32_t(Values.size() - 1);
      },
      Error);
  int64_t Value;
  if (!Expr || !Expr->evaluate(Values.data(), Value))
    return std::nullopt;
  return Value;
}

bool tool::isCompiledModel(const std::string &Path) {
  char Mark[sizeof(runtime::LimMagic)] = {};
  std::ifstream File(Path, std::ios::binary);
  return File.read(Mark, sizeof(Mark)) &&
         !std::memcmp(Mark, runtime::LimMagic, sizeof(Mark));
}

std::string tool::besideExecutable(const std::string &Path) {
  namespace fs = std::filesystem;
  std::error_code Failed;
  fs::path Found =
      fs::read_symlink("/proc/self/exe", Failed).parent_path().parent_path() /
      Path;
  return fs::exists(Found, Failed) ? Found.string() : "";
}

namespace {

/// Shows what the compiler says and keeps its errors.
struct Listener {
  Progress &Bar;
  std::string Errors;

  static void call(void *Self, int32_t Severity, const char *Message) {
    auto &L = *static_cast<Listener *>(Self);
    if (Severity == LIMOSA_DIAGNOSTIC_PROGRESS) {
      L.Bar.show(Message);
    } else if (Severity == LIMOSA_DIAGNOSTIC_ERROR) {
      L.Errors += (L.Errors.empty() ? "" : "\n       ") + std::string(Message);
    } else if (Severity == LIMOSA_DIAGNOSTIC_WARNING) {
      L.Bar.clear();
      warn(Message);
    }
  }

  /// `S` with all that the compiler said, not only its first line.
  Status complete(Status S) const {
    return Errors.empty() ? S : Status(S.code(), Errors);
  }
};

std::vector<ArgumentInfo> describeAll(
    const fb::Program &P,
    const flatbuffers::Vector<flatbuffers::Offset<fb::Argument>> *List) {
  std::vector<ArgumentInfo> Infos;
  for (uint32_t I = 0; List && I < List->size(); ++I) {
    const fb::Argument &A = *List->Get(I);
    ArgumentInfo Info{A.name()->str(), DType(A.dtype()), {}};
    for (uint32_t D = 0; A.dims() && D < A.dims()->size(); ++D)
      Info.Dims.push_back(P.exprs()->Get(A.dims()->Get(D))->text()->str());
    Infos.push_back(std::move(Info));
  }
  return Infos;
}

} // namespace

Status tool::compileModel(const limosa_compile_options &Options,
                          Progress &Bar) {
  Listener L{Bar, {}};
  Status S = runtime::compileModel(Options, Listener::call, &L);
  Bar.clear();
  return S ? L.complete(S) : S;
}

/// Opens a compiled file, or gets one from the compiler by way of the cache.
static std::shared_ptr<const runtime::LimFile>
openFile(ModelOptions &Options, Progress &Bar, bool &FromCache, Status &S) {
  if (isCompiledModel(Options.Path))
    return runtime::LimFile::open(Options.Path, S);
  const limosa_compile_options Request = Options.compileOptions();
  if (Options.NoCache) {
    char Path[] = "/tmp/limosa-XXXXXX";
    int File = mkstemp(Path);
    if (File < 0) {
      S = {LIMOSA_STATUS_FAILED, "cannot write to /tmp"};
      return nullptr;
    }
    close(File);
    limosa_compile_options ToFile = Request;
    ToFile.output_path = Path;
    S = compileModel(ToFile, Bar);
    auto Opened =
        S ? nullptr
          : runtime::LimFile::open(Path, S, /*CheckData=*/false, Options.Path);
    unlink(Path); // stays mapped
    return Opened;
  }
  Listener L{Bar, {}};
  runtime::CachedModel Model =
      runtime::loadOrCompile(runtime::Cache(), Request, Listener::call, &L, S);
  Bar.clear();
  if (!Model.File)
    S = L.complete(S);
  FromCache = Model.FromCache;
  return Model.File;
}

/// An error if one of the comma-separated devices does not exist.
static Status findDevices(const runtime::Context &Context,
                          const std::string &List) {
  std::string Known;
  for (uint32_t I = 0; I < Context.deviceCount(); ++I)
    Known += std::string(I ? ", " : "") + Context.device(I).Properties.name;
  std::stringstream Names(List);
  for (std::string Name; std::getline(Names, Name, ',');)
    if (!Context.findDevice(Name))
      return {LIMOSA_STATUS_NOT_FOUND,
              "there is no device '" + Name + "'; there are: " + Known};
  return {};
}

Status Session::open(ModelOptions &Options, Progress &Bar) {
  if (access(Options.Path.c_str(), R_OK) != 0)
    return {LIMOSA_STATUS_NOT_FOUND, "cannot read " + Options.Path};
  Status S;
  limosa_context_options Settings = {};
  Settings.size = sizeof(Settings);
  Settings.threads = Options.Threads;
  Context = runtime::Context::create(Settings, S);
  if (!Context)
    return S;
  Options.Threads = Context->threads();
  if (Status Failed = Context->addDriver(limosa_reference_device_query))
    return Failed;
  for (const std::string &Plugin : Options.Plugins)
    if (Status Failed = Context->loadPlugin(Plugin))
      return Failed;
  if (Status Failed = Options.loadOperators(Context->operators()))
    return Failed;
  if (Status Unknown = findDevices(*Context, Options.Device))
    return Unknown;
  auto File = openFile(Options, Bar, FromCache, S);
  if (!File)
    return S;
  Module = runtime::Module::load(Context, std::move(File), S);
  if (!Module)
    return S;
  if (!Options.Entry.empty()) {
    std::optional<uint32_t> Found = Module->findEntry(Options.Entry);
    if (!Found)
      return invalidArgument("the model has no entry '" + Options.Entry + "'");
    Entry = *Found;
  }
  Instance = runtime::Instance::create(Module, S);
  if (!Instance)
    return S;
  Inputs = describeAll(program(), entryTable().inputs());
  Outputs = describeAll(program(), entryTable().outputs());
  return {};
}

const fb::Entry &Session::entryTable() const {
  return *program().entries()->Get(Entry);
}

Status Session::runRaw(const std::vector<NamedTensor> &Arguments,
                       std::vector<limosa_tensor> &Raw) {
  std::vector<limosa_tensor> Views;
  for (const NamedTensor &Argument : Arguments)
    Views.push_back(Argument.Value.view());
  Raw.assign(Outputs.size(), limosa_tensor{});
  return Instance->run(Entry, Views, Raw);
}

Status Session::run(const std::vector<NamedTensor> &Arguments,
                    std::vector<NamedTensor> &Results) {
  std::vector<limosa_tensor> Raw;
  if (Status S = runRaw(Arguments, Raw))
    return S;
  Results.clear();
  Status Copied;
  for (size_t I = 0; I < Raw.size(); ++I) {
    HostTensor Value;
    if (!Copied)
      Copied = HostTensor::make(
          DType(Raw[I].dtype), {Raw[I].dims, Raw[I].dims + Raw[I].rank}, Value);
    if (!Copied && Value.type() == DType::String)
      for (int64_t J = 0; J < Value.elements(); ++J) {
        const limosa_string &S = static_cast<limosa_string *>(Raw[I].data)[J];
        Value.setText(J, std::string(S.data, S.length));
      }
    else if (!Copied && Raw[I].data && Value.bytes())
      std::memcpy(Value.data(), Raw[I].data, Value.bytes());
    limosa_tensor_release(&Raw[I]);
    Results.push_back({Outputs[I].Name, std::move(Value)});
  }
  return Copied;
}

Status Session::runOnly(const std::vector<NamedTensor> &Arguments) {
  std::vector<limosa_tensor> Raw;
  if (Status S = runRaw(Arguments, Raw))
    return S;
  for (limosa_tensor &Output : Raw)
    limosa_tensor_release(&Output);
  return {};
}

SymbolValues Session::symbols() {
  SymbolValues Values;
  std::span<const int64_t> Known = Instance->symbols();
  for (uint32_t S = 0; S < Known.size(); ++S)
    if (Known[S] >= 0)
      Values[program().symbols()->Get(S)->name()->str()] = Known[S];
  return Values;
}
