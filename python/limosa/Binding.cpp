//===- Binding.cpp - limosa._limosa, the Python module --------------------===//
//
// A thin layer over limosa.h. Arrays go in by DLPack or the buffer protocol and
// come out as NumPy arrays over the runtime's memory, without copies. Runs
// release the interpreter lock.
//
//===----------------------------------------------------------------------===//

#include "Arrays.h"
#include "Operators.h"
#include "Strings.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;
using namespace limosa;
using namespace limosa::python;
using namespace nb::literals;

namespace {

/// What a model takes or gives.
struct ValueInfo {
  std::string Name, Type;
  nb::tuple Shape; ///< Numbers, and texts where a size is symbolic.

  std::string repr() const {
    return "Value(name='" + Name + "', shape=" + nb::repr(Shape).c_str() +
           ", dtype='" + Type + "')";
  }
};

struct Deleter {
  void operator()(limosa_context *C) const { limosa_context_destroy(C); }
  void operator()(limosa_module *M) const { limosa_module_destroy(M); }
  void operator()(limosa_instance *I) const { limosa_instance_destroy(I); }
};
using ContextPtr = std::unique_ptr<limosa_context, Deleter>;
using ModulePtr = std::unique_ptr<limosa_module, Deleter>;
using InstancePtr = std::unique_ptr<limosa_instance, Deleter>;

/// Collects what the compiler says; it may be called without the lock.
struct Listener {
  std::vector<std::string> Warnings;
  std::string Errors;

  static void call(void *Self, int32_t Severity, const char *Message) {
    auto &L = *static_cast<Listener *>(Self);
    if (Severity == LIMOSA_DIAGNOSTIC_WARNING)
      L.Warnings.push_back(Message);
    else if (Severity == LIMOSA_DIAGNOSTIC_ERROR)
      L.Errors += (L.Errors.empty() ? "" : "\n") + std::string(Message);
  }

  void finish(int32_t Status) const {
    nb::object Warn = nb::module_::import_("warnings").attr("warn");
    for (const std::string &Warning : Warnings)
      Warn(Warning, "stacklevel"_a = 3);
    if (Status)
      raise(Status, Errors.empty() ? limosa_last_error() : Errors);
  }
};

/// The compiler's options from Python's; pointers live as long as this object.
struct Request {
  std::string Path, Device, Isa, Output, Emit;
  std::vector<std::string> Plugins, Flags;
  std::vector<const char *> PluginPointers, FlagPointers;

  limosa_compile_options options(unsigned Threads) {
    for (const std::string &P : Plugins)
      PluginPointers.push_back(P.c_str());
    for (const std::string &F : Flags)
      FlagPointers.push_back(F.c_str());
    limosa_compile_options O = {};
    O.size = sizeof(O);
    O.model_path = Path.c_str();
    O.output_path = Output.empty() ? nullptr : Output.c_str();
    O.device = Device.c_str();
    O.isa = Isa.c_str();
    O.emit = Emit.empty() ? nullptr : Emit.c_str();
    O.threads = Threads;
    O.plugins = PluginPointers.data();
    O.plugin_count = uint32_t(PluginPointers.size());
    O.flags = FlagPointers.data();
    O.flag_count = uint32_t(FlagPointers.size());
    return O;
  }
};

/// A loaded model. Runs of a stateless model may overlap: each takes an
/// instance from a pool. A model with state has one instance, used in turn.
class Model {
public:
  Model(ContextPtr C, ModulePtr M, bool FromCache)
      : Context(std::move(C)), Module(std::move(M)), FromCache(FromCache),
        Stateful(limosa_module_state_count(Module.get()) > 0) {}

  uint32_t entry(const std::optional<std::string> &Name) const {
    uint32_t Index = 0;
    if (Name)
      check(limosa_module_find_entry(Module.get(), Name->c_str(), &Index));
    return Index;
  }

  std::vector<std::string> entries() const {
    std::vector<std::string> Names;
    for (uint32_t E = 0; E < limosa_module_entry_count(Module.get()); ++E)
      Names.push_back(limosa_module_entry_name(Module.get(), E));
    return Names;
  }

  std::vector<ValueInfo> values(uint32_t Entry, bool Inputs) const {
    std::vector<ValueInfo> List;
    uint32_t Count = Inputs ? limosa_module_input_count(Module.get(), Entry)
                            : limosa_module_output_count(Module.get(), Entry);
    for (uint32_t I = 0; I < Count; ++I) {
      limosa_tensor_info Info = info(Entry, I, Inputs);
      nb::list Shape;
      for (uint32_t D = 0; D < Info.rank; ++D) {
        char *End;
        long long Size = std::strtoll(Info.dims[D], &End, 10);
        if (*End)
          Shape.append(Info.dims[D]);
        else
          Shape.append(Size);
      }
      List.push_back(
          {Info.name, pythonName(DType(Info.dtype)), nb::tuple(Shape)});
    }
    return List;
  }

  /// Runs with arrays in the order of the entry's inputs. A tensor of strings
  /// is a pair of shape and list.
  std::vector<nb::object> run(uint32_t Entry, nb::list Arrays) {
    const uint32_t InputCount = limosa_module_input_count(Module.get(), Entry);
    std::vector<nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>> Kept;
    std::vector<std::vector<uint8_t>> Packed;
    std::vector<python::StringInput> Strings(InputCount);
    std::vector<limosa_tensor> Inputs(InputCount);
    if (Arrays.size() != InputCount)
      throw nb::value_error("wrong number of inputs");
    for (uint32_t I = 0; I < InputCount; ++I) {
      if (info(Entry, I, true).dtype == LIMOSA_STRING) {
        Strings[I].fill(Inputs[I], Arrays[I]);
        continue;
      }
      Kept.push_back(
          nb::cast<nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>>(
              Arrays[I]));
      fill(Inputs[I], Kept.back(), Entry, I);
      if (DType Type = DType(Inputs[I].dtype); isPacked(Type)) {
        size_t Count = Kept.back().size();
        Packed.emplace_back(size_t(dtypeBytes(Type, int64_t(Count))) + 1);
        packElements(static_cast<const uint8_t *>(Kept.back().data()), Count,
                     dtypeBits(Type), Packed.back().data());
        Inputs[I].data = Packed.back().data();
      }
    }
    std::vector<limosa_tensor> Outputs(
        limosa_module_output_count(Module.get(), Entry));
    int32_t Status;
    std::string Message;
    {
      nb::gil_scoped_release Release;
      std::unique_lock<std::mutex> Turn(InTurn, std::defer_lock);
      if (Stateful)
        Turn.lock();
      InstancePtr Instance;
      Status = take(Instance);
      if (!Status)
        Status = limosa_run(Instance.get(), Entry, Inputs.data(), InputCount,
                            Outputs.data(), uint32_t(Outputs.size()));
      if (Status)
        Message = limosa_last_error();
      giveBack(std::move(Instance));
    }
    if (Status)
      raise(Status, Message);
    std::vector<nb::object> Results;
    for (limosa_tensor &Output : Outputs)
      Results.push_back(Output.dtype == LIMOSA_STRING
                            ? python::takeStrings(Output)
                            : wrap(Output));
    return Results;
  }

  void startProfile() {
    InstancePtr Instance;
    check(take(Instance));
    int32_t Status = limosa_profile_start(Instance.get());
    giveBack(std::move(Instance));
    check(Status);
  }
  void stopProfile(const std::string &Path) {
    InstancePtr Instance;
    check(take(Instance));
    int32_t Status = limosa_profile_stop(Instance.get(), Path.c_str());
    giveBack(std::move(Instance));
    check(Status);
  }

  bool fromCache() const { return FromCache; }
  uint32_t threads() const { return limosa_context_threads(Context.get()); }

private:
  limosa_tensor_info info(uint32_t Entry, uint32_t I, bool Inputs) const {
    limosa_tensor_info Info = {};
    Info.size = sizeof(Info);
    check(Inputs ? limosa_module_input(Module.get(), Entry, I, &Info)
                 : limosa_module_output(Module.get(), Entry, I, &Info));
    return Info;
  }

  template <typename Array>
  void fill(limosa_tensor &T, const Array &A, uint32_t Entry, uint32_t I) {
    limosa_tensor_info Info = info(Entry, I, true);
    DType Given = fromDlpack(A.dtype());
    // Types that NumPy has no name for come as unsigned integers, see wrap.
    DType Type = DType(Info.dtype);
    if (const TypeName *Wanted = nameOf(Type);
        Wanted &&
        (isPacked(Type) || (uint8_t(Wanted->Code) > 2 && isFloat(Type))) &&
        A.dtype().code == uint8_t(nb::dlpack::dtype_code::UInt) &&
        A.dtype().bits == std::max(8u, dtypeBits(Type)))
      Given = Type;
    if (Given != DType(Info.dtype)) {
      std::string Message =
          std::string("input '") + Info.name + "' takes " +
          pythonName(DType(Info.dtype)) + ", but the array is " +
          (Given == DType::Invalid ? "of an unknown type" : pythonName(Given));
      throw nb::type_error(Message.c_str());
    }
    if (A.ndim() > LIMOSA_MAX_RANK)
      throw nb::value_error("an array has more dimensions than Limosa takes");
    T = {};
    T.dtype = Info.dtype;
    T.rank = uint32_t(A.ndim());
    for (size_t D = 0; D < A.ndim(); ++D)
      T.dims[D] = int64_t(A.shape(D));
    T.data = const_cast<void *>(static_cast<const void *>(A.data()));
  }

  /// A NumPy array that owns an output's memory. Types that NumPy has no name
  /// for come as unsigned integers; the Python side views them as ml_dtypes.
  static nb::object wrap(limosa_tensor &Output) {
    size_t Shape[LIMOSA_MAX_RANK], Count = 1;
    for (uint32_t D = 0; D < Output.rank; ++D)
      Count *= Shape[D] = size_t(Output.dims[D]);
    if (DType Type = DType(Output.dtype); isPacked(Type)) {
      auto *Bytes = new std::vector<uint8_t>(Count + 1);
      unpackElements(static_cast<const uint8_t *>(Output.data), Count,
                     dtypeBits(Type), Bytes->data());
      limosa_tensor_release(&Output);
      nb::capsule Owner(Bytes, [](void *Held) noexcept {
        delete static_cast<std::vector<uint8_t> *>(Held);
      });
      return nb::cast(nb::ndarray<nb::numpy>(Bytes->data(), Output.rank, Shape,
                                             Owner, nullptr,
                                             nb::dtype<uint8_t>()));
    }
    auto *Owned = new limosa_tensor(Output);
    nb::capsule Owner(Owned, [](void *Tensor) noexcept {
      limosa_tensor_release(static_cast<limosa_tensor *>(Tensor));
      delete static_cast<limosa_tensor *>(Tensor);
    });
    const TypeName *Type = nameOf(DType(Output.dtype));
    unsigned Bits = dtypeBits(DType(Output.dtype));
    bool Plain = Type && uint8_t(Type->Code) <= 2;
    bool Truth = Type && Type->Code == nb::dlpack::dtype_code::Bool;
    nb::dlpack::dtype D = {
        uint8_t(Plain || Truth ? Type->Code : nb::dlpack::dtype_code::UInt),
        uint8_t(Bits), 1};
    static uint8_t Empty;
    return nb::cast(nb::ndarray<nb::numpy>(Output.data ? Output.data : &Empty,
                                           Output.rank, Shape, Owner, nullptr,
                                           D));
  }

  int32_t take(InstancePtr &Out) {
    {
      std::lock_guard<std::mutex> Guard(PoolLock);
      if (!Pool.empty()) {
        Out = std::move(Pool.back());
        Pool.pop_back();
        return LIMOSA_STATUS_OK;
      }
    }
    limosa_instance *Raw = nullptr;
    int32_t Status = limosa_instance_create(Module.get(), &Raw);
    Out.reset(Raw);
    return Status;
  }
  void giveBack(InstancePtr Instance) {
    std::lock_guard<std::mutex> Guard(PoolLock);
    if (Instance)
      Pool.push_back(std::move(Instance));
  }

  ContextPtr Context;
  ModulePtr Module;
  std::mutex PoolLock, InTurn;
  std::vector<InstancePtr> Pool;
  bool FromCache, Stateful;
};

ContextPtr makeContext(unsigned Threads,
                       const std::vector<std::string> &Plugins,
                       nb::list Operators = {},
                       const std::vector<std::string> &OperatorLibraries = {}) {
  limosa_context_options Options = {};
  Options.size = sizeof(Options);
  Options.threads = Threads;
  limosa_context *Raw = nullptr;
  check(limosa_context_create(&Options, &Raw));
  ContextPtr Context(Raw);
  for (const std::string &Plugin : Plugins)
    check(limosa_context_load_plugin(Raw, Plugin.c_str()));
  for (const std::string &Library : OperatorLibraries)
    check(limosa_context_load_operators(Raw, Library.c_str()));
  registerOperators(Raw, Operators);
  return Context;
}

std::unique_ptr<Model> load(const std::string &Path, const std::string &Device,
                            unsigned Threads, const std::string &Isa,
                            std::vector<std::string> Plugins,
                            std::vector<std::string> Flags, nb::list Operators,
                            const std::vector<std::string> &OperatorLibraries,
                            bool IsCompiled) {
  ContextPtr Context =
      makeContext(Threads, Plugins, Operators, OperatorLibraries);
  limosa_module *Raw = nullptr;
  int32_t FromCache = 0;
  if (IsCompiled) {
    check(limosa_module_load(Context.get(), Path.c_str(), &Raw));
  } else {
    Request R{Path, Device, Isa, "", "", std::move(Plugins), std::move(Flags),
              {},   {}};
    limosa_compile_options Options = R.options(Threads);
    Listener L;
    int32_t Status;
    {
      nb::gil_scoped_release Release;
      Status = limosa_load_or_compile(Context.get(), &Options, Listener::call,
                                      &L, &Raw, &FromCache);
    }
    L.finish(Status);
  }
  return std::make_unique<Model>(std::move(Context), ModulePtr(Raw),
                                 FromCache != 0);
}

void compile(const std::string &Path, const std::string &Output,
             const std::string &Device, unsigned Threads,
             const std::string &Isa, std::vector<std::string> Plugins,
             std::vector<std::string> Flags, nb::list Operators,
             const std::vector<std::string> &OperatorLibraries,
             const std::string &Emit) {
  Request R{
      Path, Device, Isa, Output, Emit, std::move(Plugins), std::move(Flags),
      {},   {}};
  limosa_compile_options Options = R.options(Threads);
  ContextPtr Context = makeContext(1, {}, Operators, OperatorLibraries);
  Listener L;
  int32_t Status;
  {
    nb::gil_scoped_release Release;
    Status =
        limosa_context_compile(Context.get(), &Options, Listener::call, &L);
  }
  L.finish(Status);
}

std::vector<std::pair<std::string, std::string>>
devices(std::vector<std::string> Plugins) {
  ContextPtr Context = makeContext(1, Plugins);
  std::vector<std::pair<std::string, std::string>> List;
  for (uint32_t D = 0; D < limosa_context_device_count(Context.get()); ++D) {
    const char *Name = "", *Description = "";
    check(limosa_context_device(Context.get(), D, &Name, &Description));
    List.emplace_back(Name, Description);
  }
  return List;
}

} // namespace

NB_MODULE(_limosa, M) {
  M.attr("__version__") = limosa_version();
  nb::exception<std::runtime_error>(M, "Error", PyExc_RuntimeError);
  nb::class_<ValueInfo>(M, "Value")
      .def_ro("name", &ValueInfo::Name)
      .def_ro("shape", &ValueInfo::Shape)
      .def_ro("dtype", &ValueInfo::Type)
      .def("__repr__", &ValueInfo::repr);
  nb::class_<Model>(M, "Model")
      .def("entry", &Model::entry, "name"_a.none())
      .def("entries", &Model::entries)
      .def("values", &Model::values, "entry"_a, "inputs"_a)
      .def("run", &Model::run, "entry"_a, "arrays"_a)
      .def("start_profile", &Model::startProfile)
      .def("stop_profile", &Model::stopProfile, "path"_a)
      .def_prop_ro("from_cache", &Model::fromCache)
      .def_prop_ro("threads", &Model::threads);
  bindOperators(M);
  M.def("load", &load);
  M.def("compile", &compile);
  M.def("devices", &devices);
}
