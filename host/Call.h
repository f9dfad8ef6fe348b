//===- Call.h - A kernel's view of its call ---------------------*- C++ -*-===//
//
// What the operators of this folder have in common: attributes by name, strings
// in and out, messages. limosa/operator.h is all they know of Limosa.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_HOST_CALL_H
#define LIMOSA_HOST_CALL_H

#include "limosa/operator.h"

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace limosa::host {

class Call {
public:
  explicit Call(const limosa_operator_call *C) : C(C) {}

  const limosa_operator_tensor &input(uint32_t K) const {
    return *C->inputs[K];
  }
  const limosa_operator_tensor &output(uint32_t K) const {
    return *C->outputs[K];
  }
  std::span<const int64_t> dims(uint32_t Input) const {
    return {input(Input).dims, input(Input).rank};
  }
  /// Element `I` of an input of strings.
  std::string_view text(uint32_t Input, uint64_t I) const {
    const auto &S = static_cast<const limosa_string *>(input(Input).data)[I];
    return {S.data ? S.data : "", S.length};
  }
  /// Sets element `I` of an output of strings. They begin empty.
  void setText(uint32_t Output, uint64_t I, std::string_view Text) const {
    C->set_string(C, Output, I, {Text.data(), Text.size()});
  }
  template <typename T> const T *in(uint32_t K) const {
    return static_cast<const T *>(input(K).data);
  }
  template <typename T> T *out(uint32_t K) const {
    return static_cast<T *>(output(K).data);
  }
  /// Gives output K its size; false if that is not possible.
  bool allocate(uint32_t K, std::span<const int64_t> Dims) const {
    return C->allocate(C, K, uint32_t(Dims.size()), Dims.data()) != nullptr;
  }

  std::string_view attr(std::string_view Name,
                        std::string_view Default = "") const {
    const limosa_operator_attribute *A = find(Name, LIMOSA_ATTRIBUTE_STRING);
    return A ? std::string_view(A->strings->data, A->strings->length) : Default;
  }
  int64_t attr(std::string_view Name, int64_t Default) const {
    const limosa_operator_attribute *A = find(Name, LIMOSA_ATTRIBUTE_INT);
    return A ? *A->ints : Default;
  }
  std::span<const limosa_string> strings(std::string_view Name) const {
    const limosa_operator_attribute *A = find(Name, LIMOSA_ATTRIBUTE_STRINGS);
    return A ? std::span(A->strings, A->count)
             : std::span<const limosa_string>();
  }

  /// Says why the call fails.
  int32_t fail(const std::string &Why,
               int32_t Code = LIMOSA_STATUS_FAILED) const {
    C->set_error(C, Why.c_str());
    return Code;
  }
  /// What the runtime does not check for a kernel that a file names: numbers
  /// and element types of inputs and outputs (0: any).
  bool takes(std::initializer_list<uint32_t> Inputs,
             std::initializer_list<uint32_t> Outputs) const;

private:
  const limosa_operator_attribute *find(std::string_view Name,
                                        uint32_t Kind) const {
    for (uint32_t K = 0; K < C->attribute_count; ++K)
      if (C->attributes[K]->name == Name && C->attributes[K]->kind == Kind)
        return C->attributes[K];
    return nullptr;
  }

  const limosa_operator_call *C;
};

using Kernel = int32_t (*)(const limosa_operator_call *);

/// Answers limosa_operators_query with operators of domain "limosa", version 1.
/// The first answer of a library stands. Their shapes are the compiler's
/// affair, so that `infer` refuses.
int32_t offer(std::initializer_list<std::pair<const char *, Kernel>> Kernels,
              uint32_t MinVersion, uint32_t MaxVersion,
              const limosa_operator_library **Out);

int32_t stringConcat(const limosa_operator_call *);
int32_t stringSplit(const limosa_operator_call *);
int32_t stringNormalizer(const limosa_operator_call *);
int32_t stringRank(const limosa_operator_call *);
int32_t regexFullMatch(const limosa_operator_call *);
int32_t numberToString(const limosa_operator_call *);
int32_t stringToNumber(const limosa_operator_call *);

} // namespace limosa::host

#endif // LIMOSA_HOST_CALL_H
