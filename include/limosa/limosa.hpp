//===- limosa.hpp - Running compiled models from C++ ----------------*- C++
//-*-===//
//
// A thin, header-only wrapper of limosa.h: handles are freed by themselves,
// errors are values. C++17, no exceptions, links only liblimosa.
//
//   auto Context = limosa::Context::create();
//   auto Model = Context->load("model.lim");
//   if (!Model) { std::cerr << Model.error(); ... }
//   auto Session = Model->instance();
//   auto Outputs = Session->run(limosa::Tensor::view(Values, {1, 10}));
//   float *First = Outputs->at(0).data<float>();
//
// Threads and ownership are as in limosa.h; all classes move and do not copy.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_LIMOSA_HPP
#define LIMOSA_LIMOSA_HPP

#include "limosa/limosa.h"
#include "limosa/operator.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace limosa {

/// A value, or why there is none. Look before you dereference.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T Value) : Held(std::move(Value)) {}
  /// The failure of the last call on this thread.
  explicit Result(int32_t Status)
      : Code(Status), Message(limosa_last_error()) {}

  explicit operator bool() const { return Held.has_value(); }
  T &operator*() { return *Held; }
  T *operator->() { return &*Held; }
  /// LIMOSA_STATUS_*.
  int32_t status() const { return Code; }
  const std::string &error() const { return Message; }

private:
  std::optional<T> Held;
  int32_t Code = LIMOSA_STATUS_OK;
  std::string Message;
};

/// Success or an error, for what gives no value.
class [[nodiscard]] Status {
public:
  explicit Status(int32_t Code)
      : Code(Code), Message(Code ? limosa_last_error() : "") {}
  explicit operator bool() const { return Code == LIMOSA_STATUS_OK; }
  int32_t status() const { return Code; }
  const std::string &error() const { return Message; }

private:
  int32_t Code;
  std::string Message;
};

/// The element type of a C++ type; specialise for your own (bf16 ...).
template <typename T> struct ElementType;
// clang-format off
template <> struct ElementType<bool> { static constexpr uint32_t value = LIMOSA_BOOL; };
template <> struct ElementType<int8_t> { static constexpr uint32_t value = LIMOSA_I8; };
template <> struct ElementType<int16_t> { static constexpr uint32_t value = LIMOSA_I16; };
template <> struct ElementType<int32_t> { static constexpr uint32_t value = LIMOSA_I32; };
template <> struct ElementType<int64_t> { static constexpr uint32_t value = LIMOSA_I64; };
template <> struct ElementType<uint8_t> { static constexpr uint32_t value = LIMOSA_U8; };
template <> struct ElementType<uint16_t> { static constexpr uint32_t value = LIMOSA_U16; };
template <> struct ElementType<uint32_t> { static constexpr uint32_t value = LIMOSA_U32; };
template <> struct ElementType<uint64_t> { static constexpr uint32_t value = LIMOSA_U64; };
template <> struct ElementType<float> { static constexpr uint32_t value = LIMOSA_F32; };
template <> struct ElementType<limosa_string> { static constexpr uint32_t value = LIMOSA_STRING; };
template <> struct ElementType<double> { static constexpr uint32_t value = LIMOSA_F64; };
// clang-format on

/// A dense row-major tensor: a view of memory of yours, or an output's memory,
/// which it gives back.
class Tensor {
public:
  Tensor() : Raw{} {}
  ~Tensor() { limosa_tensor_release(&Raw); }
  Tensor(Tensor &&Other) noexcept : Raw(std::exchange(Other.Raw, {})) {}
  Tensor &operator=(Tensor &&Other) noexcept {
    std::swap(Raw, Other.Raw);
    return *this;
  }

  /// Memory of an element type, which must outlive the tensor. As an input it
  /// is only read (unless `donate` is called).
  static Tensor view(uint32_t DType, const void *Data,
                     const std::vector<int64_t> &Dims) {
    Tensor T;
    T.Raw.dtype = DType;
    T.Raw.data = const_cast<void *>(Data);
    T.Raw.rank = uint32_t(Dims.size());
    for (size_t D = 0; D < Dims.size() && D < LIMOSA_MAX_RANK; ++D)
      T.Raw.dims[D] = Dims[D];
    return T;
  }
  template <typename T>
  static Tensor view(const T *Data, const std::vector<int64_t> &Dims) {
    return view(ElementType<T>::value, Data, Dims);
  }
  template <typename T>
  static Tensor view(const std::vector<T> &Data,
                     const std::vector<int64_t> &Dims) {
    return view(Data.data(), Dims);
  }
  /// Memory for an output to be written to.
  static Tensor buffer(void *Data, uint64_t Bytes) {
    Tensor T;
    T.Raw.data = Data;
    T.Raw.bytes = Bytes;
    return T;
  }
  /// Lets an output that replaces this input use its memory.
  Tensor &donate() {
    Raw.flags |= LIMOSA_TENSOR_DONATED;
    return *this;
  }

  uint32_t dtype() const { return Raw.dtype; }
  uint32_t rank() const { return Raw.rank; }
  int64_t dim(uint32_t D) const { return Raw.dims[D]; }
  std::vector<int64_t> dims() const { return {Raw.dims, Raw.dims + Raw.rank}; }
  int64_t elements() const {
    int64_t N = 1;
    for (uint32_t D = 0; D < Raw.rank; ++D)
      N *= Raw.dims[D];
    return N;
  }
  uint64_t bytes() const { return Raw.bytes; }
  /// Null if the element type is not T.
  template <typename T> T *data() const {
    return Raw.dtype == ElementType<T>::value ? static_cast<T *>(Raw.data)
                                              : nullptr;
  }
  void *data() const { return Raw.data; }
  limosa_tensor &raw() { return Raw; }

private:
  limosa_tensor Raw;
};

/// What is known about an input, an output or a state before it is run.
struct TensorInfo {
  std::string Name;
  uint32_t DType = 0;
  std::vector<std::string> Dims; ///< Expressions: "3", "batch", "2*S + 1".
};

class Instance {
public:
  /// Runs entry `Entry`; outputs in memory of their own.
  Result<std::vector<Tensor>> run(const std::vector<Tensor> &Inputs,
                                  uint32_t Entry = 0) {
    std::vector<Tensor> Outputs(limosa_module_output_count(Owner.get(), Entry));
    Status S = runInto(Inputs, Outputs, Entry);
    if (!S)
      return Result<std::vector<Tensor>>(S.status());
    return Outputs;
  }
  template <typename... Tensors>
  Result<std::vector<Tensor>> run(Tensor First, Tensors... Rest) {
    std::vector<Tensor> Inputs;
    Inputs.push_back(std::move(First));
    (Inputs.push_back(std::move(Rest)), ...);
    return run(Inputs);
  }
  /// Runs with outputs where memory is set (Tensor::buffer) written to it;
  /// those of an earlier run are used again.
  Status runInto(const std::vector<Tensor> &Inputs,
                 std::vector<Tensor> &Outputs, uint32_t Entry = 0) {
    std::vector<limosa_tensor> In, Out;
    for (const Tensor &T : Inputs)
      In.push_back(const_cast<Tensor &>(T).raw());
    for (Tensor &T : Outputs)
      Out.push_back(T.raw());
    Status S(limosa_run(Handle.get(), Entry, In.data(), uint32_t(In.size()),
                        Out.data(), uint32_t(Out.size())));
    if (S)
      for (size_t I = 0; I < Outputs.size(); ++I)
        Outputs[I].raw() = Out[I];
    return S;
  }
  Status readState(uint32_t State, void *Data, uint64_t Bytes) {
    return Status(limosa_state_read(Handle.get(), State, Data, Bytes));
  }
  Status writeState(uint32_t State, const void *Data, uint64_t Bytes) {
    return Status(limosa_state_write(Handle.get(), State, Data, Bytes));
  }
  Status startProfile() { return Status(limosa_profile_start(Handle.get())); }
  Status stopProfile(const std::string &Path) {
    return Status(limosa_profile_stop(Handle.get(), Path.c_str()));
  }

private:
  friend class Module;
  using Deleter = void (*)(limosa_instance *);
  Instance(limosa_instance *Raw, std::shared_ptr<limosa_module> Owner)
      : Handle(Raw, limosa_instance_destroy), Owner(std::move(Owner)) {}
  std::unique_ptr<limosa_instance, Deleter> Handle;
  std::shared_ptr<limosa_module> Owner;
};

class Module {
public:
  Result<Instance> instance() const {
    limosa_instance *Raw = nullptr;
    if (int32_t S = limosa_instance_create(Handle.get(), &Raw))
      return Result<Instance>(S);
    return Instance(Raw, Handle);
  }
  uint32_t entryCount() const {
    return limosa_module_entry_count(Handle.get());
  }
  std::string entryName(uint32_t Entry) const {
    return limosa_module_entry_name(Handle.get(), Entry);
  }
  std::vector<TensorInfo> inputs(uint32_t Entry = 0) const {
    return list(limosa_module_input_count(Handle.get(), Entry),
                [&](uint32_t I, limosa_tensor_info *Info) {
                  limosa_module_input(Handle.get(), Entry, I, Info);
                });
  }
  std::vector<TensorInfo> outputs(uint32_t Entry = 0) const {
    return list(limosa_module_output_count(Handle.get(), Entry),
                [&](uint32_t I, limosa_tensor_info *Info) {
                  limosa_module_output(Handle.get(), Entry, I, Info);
                });
  }
  std::vector<TensorInfo> states() const {
    return list(limosa_module_state_count(Handle.get()),
                [&](uint32_t I, limosa_tensor_info *Info) {
                  limosa_module_state(Handle.get(), I, Info);
                });
  }

private:
  friend class Context;
  explicit Module(limosa_module *Raw) : Handle(Raw, limosa_module_destroy) {}

  template <typename Fn>
  static std::vector<TensorInfo> list(uint32_t Count, Fn Get) {
    std::vector<TensorInfo> All;
    for (uint32_t I = 0; I < Count; ++I) {
      limosa_tensor_info Info = {};
      Info.size = sizeof(Info);
      Get(I, &Info);
      All.push_back(
          {Info.name, Info.dtype, {Info.dims, Info.dims + Info.rank}});
    }
    return All;
  }
  std::shared_ptr<limosa_module> Handle;
};

class Context {
public:
  /// Threads 0: as many as the process may use processors.
  static Result<Context> create(uint32_t Threads = 0) {
    limosa_context_options Options = {};
    Options.size = sizeof(Options);
    Options.threads = Threads;
    return create(Options);
  }
  static Result<Context> create(const limosa_context_options &Options) {
    limosa_context *Raw = nullptr;
    if (int32_t S = limosa_context_create(&Options, &Raw))
      return Result<Context>(S);
    return Context(Raw);
  }
  uint32_t threads() const { return limosa_context_threads(Handle.get()); }
  Status loadPlugin(const std::string &Path) {
    return Status(limosa_context_load_plugin(Handle.get(), Path.c_str()));
  }

  /// Makes an operator known to the models compiled and loaded from now on.
  Status add(const Operator &Op) {
    limosa_operator Table = Op.describe();
    int32_t S = limosa_context_register_operator(Handle.get(), &Table);
    if (S)
      Table.release(Table.user);
    return Status(S);
  }
  /// The same for all operators of a shared library.
  Status loadOperators(const std::string &Path) {
    return Status(limosa_context_load_operators(Handle.get(), Path.c_str()));
  }

  /// A .lim file.
  Result<Module> load(const std::string &Path) const {
    limosa_module *Raw = nullptr;
    if (int32_t S = limosa_module_load(Handle.get(), Path.c_str(), &Raw))
      return Result<Module>(S);
    return Module(Raw);
  }
  /// A model (.onnx), compiled unless the cache has it.
  Result<Module> compile(const std::string &ModelPath) const {
    limosa_compile_options Options = {};
    Options.size = sizeof(Options);
    Options.model_path = ModelPath.c_str();
    limosa_module *Raw = nullptr;
    if (int32_t S = limosa_load_or_compile(Handle.get(), &Options, nullptr,
                                           nullptr, &Raw, nullptr))
      return Result<Module>(S);
    return Module(Raw);
  }

private:
  using Deleter = void (*)(limosa_context *);
  explicit Context(limosa_context *Raw) : Handle(Raw, limosa_context_destroy) {}
  std::unique_ptr<limosa_context, Deleter> Handle;
};

} // namespace limosa

#endif // LIMOSA_LIMOSA_HPP
