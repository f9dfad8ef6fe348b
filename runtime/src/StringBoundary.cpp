//===- StringBoundary.cpp - Strings in, strings out -----------------------===//

#include "StringBoundary.h"

#include <cstring>

using namespace limosa;
using namespace limosa::runtime;

using Arguments = flatbuffers::Vector<flatbuffers::Offset<fb::Argument>>;

static bool isStrings(const Arguments *A, size_t Index) {
  return A && Index < A->size() &&
         DType(A->Get(uint32_t(Index))->dtype()) == DType::String;
}

/// The number of elements, if the dimensions are such that memory could hold
/// them.
static std::optional<uint64_t> countElements(const limosa_tensor &T) {
  int64_t Elements = 1;
  if (T.rank > LIMOSA_MAX_RANK)
    return std::nullopt;
  for (uint32_t D = 0; D < T.rank; ++D)
    if (T.dims[D] < 0 ||
        __builtin_mul_overflow(Elements, T.dims[D], &Elements) ||
        Elements > INT64_MAX / 128)
      return std::nullopt;
  return uint64_t(Elements);
}

Status StringBoundary::enter() {
  Numbers.resize(Inputs.size());
  for (size_t K = 0; K < Inputs.size(); ++K) {
    limosa_tensor &T = Inputs[K];
    if (!isStrings(E.inputs(), K) || DType(T.dtype) != DType::String)
      continue;
    auto Count = countElements(T);
    if (!Count || (!T.data && *Count) ||
        reinterpret_cast<uintptr_t>(T.data) % alignof(limosa_string))
      continue;
    std::string Name = E.inputs()->Get(uint32_t(K))->name()->str();
    if (T.bytes && T.bytes != *Count * sizeof(limosa_string))
      return invalidArgument("input '" + Name + "' has " +
                             std::to_string(*Count) + " strings, which take " +
                             std::to_string(*Count * sizeof(limosa_string)) +
                             " bytes, not " + std::to_string(T.bytes));
    auto *Strings = static_cast<const limosa_string *>(T.data);
    Numbers[K].reserve(*Count + 1); // so that there is an address
    for (uint64_t J = 0; J < *Count; ++J) {
      const limosa_string &S = Strings[J];
      if (!S.data && S.length)
        return invalidArgument("string " + std::to_string(J) + " of input '" +
                               Name + "' has no data");
      Numbers[K].push_back(
          I.Strings.number({S.data ? S.data : "", size_t(S.length)}));
    }
    T.data = Numbers[K].data();
    T.bytes = 0;
    T.flags &= ~LIMOSA_TENSOR_DONATED;
  }
  for (size_t K = 0; K < Outputs.size(); ++K) {
    if (!isStrings(E.outputs(), K))
      continue;
    if (Outputs[K].data && !Outputs[K].owner)
      return invalidArgument(
          "output '" + E.outputs()->Get(uint32_t(K))->name()->str() +
          "' holds strings, whose memory Limosa makes: its data must be NULL");
    Outputs[K] = {};
  }
  return {};
}

Status StringBoundary::toStrings(uint32_t Output, limosa_tensor &Result) const {
  const limosa_tensor &T = Outputs[Output];
  std::string Name = "output '" + E.outputs()->Get(Output)->name()->str() + "'";
  std::vector<int64_t> At(T.bytes / sizeof(int64_t));
  if (!At.empty())
    std::memcpy(At.data(), T.data, T.bytes);
  // Strings that come more than once are stored once.
  std::unordered_map<int64_t, uint64_t> Places;
  uint64_t Bytes = At.size() * sizeof(limosa_string);
  for (int64_t N : At) {
    auto S = I.Strings.string(N);
    if (!S)
      return {LIMOSA_STATUS_INTERNAL,
              Name + " has a string that does not exist"};
    if (Places.emplace(N, Bytes).second)
      Bytes += S->size();
  }
  uint64_t Capacity = std::max<uint64_t>(Bytes, 1);
  auto *Memory = static_cast<char *>(I.Memory->allocate(Capacity));
  if (!Memory)
    return outOfMemory(Bytes, Name);
  for (const auto &[N, Place] : Places) {
    std::string_view S = *I.Strings.string(N);
    if (!S.empty())
      std::memcpy(Memory + Place, S.data(), S.size());
  }
  for (size_t J = 0; J < At.size(); ++J) {
    limosa_string S = {Memory + Places[At[J]], I.Strings.string(At[J])->size()};
    std::memcpy(Memory + J * sizeof(S), &S, sizeof(S));
  }
  Result = T;
  Result.dtype = uint32_t(DType::String);
  Result.data = Memory;
  Result.bytes = At.size() * sizeof(limosa_string);
  Result.owner = new OutputBlock{I.Ctx->allocator(), Memory, Capacity};
  return {};
}

Status StringBoundary::leave(Status Run) {
  if (Run)
    return Run;
  std::vector<limosa_tensor> Results(Outputs.size());
  for (uint32_t K = 0; Run.ok() && K < Outputs.size(); ++K)
    if (isStrings(E.outputs(), K))
      Run = toStrings(K, Results[K]);
  for (uint32_t K = 0; K < Outputs.size(); ++K) {
    if (isStrings(E.outputs(), K)) {
      limosa_tensor_release(&Outputs[K]); // the numbers
      if (Run.ok())
        limosa_tensor_release(&Given[K]); // of an earlier run
      Outputs[K] = Run.ok() ? Results[K] : Given[K];
    } else if (!Run.ok()) {
      limosa_tensor_release(&Outputs[K]);
    }
    if (!Run.ok())
      limosa_tensor_release(&Results[K]);
    Given[K] = Outputs[K];
  }
  return Run;
}
