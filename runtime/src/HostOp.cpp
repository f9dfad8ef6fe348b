//===- HostOp.cpp - Calls of operators of the host ------------------------===//

#include "Executor.h"
#include "limosa/Runtime/OperatorRules.h"

#include <algorithm>
#include <cstring>

using namespace limosa;
using namespace limosa::runtime;

namespace {

/// What tensors without elements point to.
alignas(64) uint8_t Nothing[64];

} // namespace

/// One call: the views that the kernel sees, and what it answers.
struct Executor::HostCall {
  struct View {
    limosa_operator_tensor Tensor = {};
    int64_t Dims[LIMOSA_MAX_RANK] = {};
    int64_t *Numbers = nullptr;         // of the strings of an output
    std::vector<limosa_string> Strings; // of an input
  };

  HostCall(Executor &E, const LoweredHostOp &H)
      : E(E), H(H), Inputs(H.Inputs.size()), Outputs(H.Outputs.size()),
        InputPointers(H.Inputs.size()), OutputPointers(H.Outputs.size()) {}

  /// "node 'x' (my.domain::Op): ...".
  std::string text(const std::string &What) const {
    return "node '" + (H.Table->node() ? H.Table->node()->str() : "") + "' (" +
           H.Operator->fullName() + "): " + What;
  }
  bool fail(int32_t Code, const std::string &What) {
    return E.fail({Code, text(What)});
  }

  bool view(uint32_t Buffer, View &V) {
    const LoweredBuffer &B = E.Code.Buffers[Buffer];
    if (!E.place(Buffer))
      return false;
    for (size_t D = 0; D < B.Dims.size(); ++D)
      if (!E.I.evaluate(B.Dims[D], V.Dims[D]))
        return E.internal("the size of " + E.bufferName(Buffer) +
                          " is not known");
    uint8_t *Data = E.storage(Buffer).Address;
    V.Tensor =
        operatorTensor(B.Type, {V.Dims, B.Dims.size()}, Data ? Data : Nothing);
    return true;
  }

  /// The strings of an input that is held as their numbers.
  bool showStrings(uint32_t Input, View &V) {
    std::vector<int64_t> Numbers(V.Tensor.elements);
    if (!Numbers.empty())
      std::memcpy(Numbers.data(), V.Tensor.data, V.Tensor.bytes);
    V.Strings.reserve(Numbers.size() + 1); // so that there is an address
    for (int64_t N : Numbers) {
      auto S = E.I.Strings.string(N);
      if (!S)
        return fail(LIMOSA_STATUS_INTERNAL,
                    "input " + std::to_string(Input) +
                        " has a string that does not exist");
      V.Strings.push_back({S->data(), S->size()});
    }
    V.Tensor.dtype = uint32_t(DType::String);
    V.Tensor.data = V.Strings.data();
    V.Tensor.bytes = V.Strings.size() * sizeof(limosa_string);
    return true;
  }

  /// An output of strings, all empty, for set_string.
  void beginStrings(View &V) {
    V.Numbers = static_cast<int64_t *>(V.Tensor.data);
    if (V.Tensor.bytes)
      std::memset(V.Numbers, 0, V.Tensor.bytes);
    V.Tensor.dtype = uint32_t(DType::String);
    V.Tensor.bytes = 0;
    V.Tensor.data = Nothing;
  }

  static void setString(const limosa_operator_call *Call, uint32_t Output,
                        uint64_t Index, limosa_string Value) {
    HostCall &C = of(Call);
    if (Output < C.Outputs.size() && C.Outputs[Output].Numbers &&
        Index < C.Outputs[Output].Tensor.elements &&
        (Value.data || !Value.length)) {
      C.Outputs[Output].Numbers[Index] = C.E.I.Strings.number(
          {Value.data ? Value.data : "", size_t(Value.length)});
      return;
    }
    if (!C.Broken)
      C.fail(LIMOSA_STATUS_FAILED, "output " + std::to_string(Output) +
                                       " has no string " +
                                       std::to_string(Index));
    C.Broken = true;
  }

  /// An output whose size the kernel has to say.
  void leaveOpen(uint32_t Buffer, View &V) {
    const LoweredBuffer &B = E.Code.Buffers[Buffer];
    V.Tensor.size = sizeof(V.Tensor);
    V.Tensor.dtype = uint32_t(B.Type);
    V.Tensor.rank = uint32_t(B.Dims.size());
    if (H.StringOutputs[&V - Outputs.data()])
      V.Tensor.dtype = uint32_t(DType::String);
  }

  /// What would move or go if a buffer's memory was made anew.
  std::pair<fb::BufferKind, uint32_t> memoryOf(uint32_t Buffer) const {
    uint32_t Home = E.State.Buffers[Buffer].Home;
    const LoweredBuffer &B = E.Code.Buffers[Home];
    return {B.Kind, B.Kind == fb::BufferKind::Output ? B.Source : Home};
  }
  /// Whether no other operand lies in the memory of an output that the kernel
  /// allocates: it would be gone under the kernel's hands.
  bool aloneInMemory(size_t Output) const {
    auto Memory = memoryOf(H.Outputs[Output]);
    for (uint32_t B : H.Inputs)
      if (B != NoIndex && memoryOf(B) == Memory)
        return false;
    for (size_t K = 0; K < H.Outputs.size(); ++K)
      if (K != Output && memoryOf(H.Outputs[K]) == Memory)
        return false;
    return true;
  }

  /// Makes the memory of everything that has its size, before an address is
  /// looked at.
  bool placeAll() {
    for (uint32_t B : H.Inputs)
      if (B != NoIndex && !E.place(B))
        return false;
    for (size_t K = 0; K < H.Outputs.size(); ++K) {
      if (!H.Open[K] && !E.place(H.Outputs[K]))
        return false;
      if (H.Open[K] && !aloneInMemory(K))
        return E.internal("a host operator allocates memory that it uses");
    }
    return true;
  }

  /// The kernel's answer: gives symbols their values and makes the memory.
  bool allocate(uint32_t Output, std::span<const int64_t> Dims) {
    if (Output >= Outputs.size())
      return fail(LIMOSA_STATUS_FAILED,
                  "there is no output " + std::to_string(Output));
    std::string What = "output " + std::to_string(Output);
    if (!H.Open[Output] || Outputs[Output].Tensor.data)
      return fail(LIMOSA_STATUS_FAILED, What + " has its memory already");
    uint32_t Buffer = H.Outputs[Output];
    const LoweredBuffer &B = E.Code.Buffers[Buffer];
    if (Dims.size() != B.Dims.size())
      return fail(LIMOSA_STATUS_FAILED,
                  What + " has rank " + std::to_string(B.Dims.size()) +
                      ", the kernel gives " + std::to_string(Dims.size()));
    for (size_t D = 0; D < Dims.size(); ++D) {
      auto Symbol = E.I.Program->Exprs[B.Dims[D]].asSymbol();
      bool Free = Symbol &&
                  std::find(H.Symbols.begin(), H.Symbols.end(), *Symbol) !=
                      H.Symbols.end() &&
                  !isBound(*Symbol);
      int64_t Wanted = 0;
      if (Dims[D] < 0 ||
          (!Free && (!E.I.evaluate(B.Dims[D], Wanted) || Wanted != Dims[D])))
        return fail(LIMOSA_STATUS_FAILED,
                    What + " has " + std::to_string(Dims[D]) +
                        " elements in dimension " + std::to_string(D) +
                        (Free ? "" : ", not " + std::to_string(Wanted)));
      if (!Free)
        continue;
      if (!E.bindValue(*Symbol, Dims[D]))
        return false;
      Bound.push_back(*Symbol);
    }
    if (B.Kind == fb::BufferKind::Dynamic && !E.allocate(Buffer))
      return false;
    return viewOutput(Output);
  }
  bool viewOutput(uint32_t Output) {
    if (!view(H.Outputs[Output], Outputs[Output]))
      return false;
    if (H.StringOutputs[Output])
      beginStrings(Outputs[Output]);
    return true;
  }
  bool isBound(uint32_t Symbol) const {
    return std::find(Bound.begin(), Bound.end(), Symbol) != Bound.end();
  }

  static HostCall &of(const limosa_operator_call *Call) {
    return *static_cast<HostCall *>(Call->context);
  }
  static void *allocateEntry(const limosa_operator_call *Call, uint32_t Output,
                             uint32_t Rank, const int64_t *Dims) {
    HostCall &C = of(Call);
    if (!C.Broken && (!Rank || Dims) && Rank <= LIMOSA_MAX_RANK &&
        C.allocate(Output, {Dims, Rank}))
      return C.Outputs[Output].Tensor.data;
    if (!C.Broken && C.E.Error.ok())
      C.fail(LIMOSA_STATUS_FAILED, "output " + std::to_string(Output) +
                                       " cannot have rank " +
                                       std::to_string(Rank));
    C.Broken = true;
    return nullptr;
  }
  static void setError(const limosa_operator_call *Call, const char *Message) {
    of(Call).Said.say(Message);
  }

  bool run() {
    if (!placeAll())
      return false;
    for (size_t K = 0; K < H.Inputs.size(); ++K) {
      if (H.Inputs[K] == NoIndex)
        continue;
      if (!view(H.Inputs[K], Inputs[K]))
        return false;
      if (H.StringInputs[K] && !showStrings(uint32_t(K), Inputs[K]))
        return false;
      InputPointers[K] = &Inputs[K].Tensor;
    }
    for (size_t K = 0; K < H.Outputs.size(); ++K) {
      OutputPointers[K] = &Outputs[K].Tensor;
      if (H.Open[K])
        leaveOpen(H.Outputs[K], Outputs[K]);
      else if (!viewOutput(uint32_t(K)))
        return false;
    }
    const limosa_operator &Op = H.Operator->table();
    limosa_operator_call Call = {};
    Call.size = sizeof(Call);
    Call.user = Op.user;
    Call.node = H.Table->node() ? H.Table->node()->c_str() : "";
    Call.input_count = uint32_t(InputPointers.size());
    Call.output_count = uint32_t(OutputPointers.size());
    Call.attribute_count = uint32_t(H.Attributes.size());
    Call.inputs = InputPointers.data();
    Call.outputs = OutputPointers.data();
    Call.attributes = H.Attributes.data();
    Call.context = this;
    Call.allocate = allocateEntry;
    Call.set_error = setError;
    Call.set_string = setString;
    int32_t Result;
    {
      std::unique_lock<std::mutex> Turn(H.Operator->turn(), std::defer_lock);
      if (Op.flags & LIMOSA_OPERATOR_SERIAL)
        Turn.lock();
      Result = Op.run(&Call);
    }
    if (Broken)
      return false;
    if (Result != LIMOSA_STATUS_OK || Said)
      return fail(Result > 0 && Result <= LIMOSA_STATUS_INTERNAL
                      ? Result
                      : LIMOSA_STATUS_FAILED,
                  Said.text(Result, "the kernel "));
    for (size_t K = 0; K < Outputs.size(); ++K)
      if (!Outputs[K].Tensor.data)
        return fail(LIMOSA_STATUS_FAILED,
                    "the kernel has not allocated output " + std::to_string(K));
    return true;
  }

  Executor &E;
  const LoweredHostOp &H;
  std::vector<View> Inputs, Outputs;
  std::vector<const limosa_operator_tensor *> InputPointers, OutputPointers;
  std::vector<uint32_t> Bound; // symbols that have their value
  OperatorError Said;
  bool Broken = false; // the executor's error is set
};

bool Executor::hostOp(uint32_t Index) {
  const LoweredHostOp &H = Code.HostOps[Index];
  if (!waitForOthers(NoIndex))
    return false;
  uint64_t Begin = I.Recording ? I.Ctx->host()->now(I.Ctx->host()->context) : 0;
  if (!HostCall(*this, H).run())
    return false;
  if (I.Recording)
    I.Recording->HostCalls.push_back(
        {EntryIndex, Index, Begin, I.Ctx->host()->now(I.Ctx->host()->context)});
  return true;
}
