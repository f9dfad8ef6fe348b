//===- TouchAll.h - A kernel that touches all that it is given --*- C++ -*-===//
//
// For damaged files: what they have a kernel called with has to be there.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_TEST_UNIT_RUNTIME_TOUCHALL_H
#define LIMOSA_TEST_UNIT_RUNTIME_TOUCHALL_H

#include "limosa/limosa.h"

#include <cstring>

namespace limosa::test {

/// Calls of touchAll since it was set to 0.
inline unsigned CallsOfTouchAll = 0;

/// Reads and writes all of a call; what it allocates is small. Fails after many
/// calls, for a damaged program may loop for ever.
inline int32_t touchAll(const limosa_operator_call *C) {
  constexpr unsigned MostCalls = 100;
  if (++CallsOfTouchAll > MostCalls)
    return LIMOSA_STATUS_FAILED;
  static volatile uint8_t Sum = 0;
  auto Read = [](const limosa_operator_tensor *T) {
    for (uint64_t I = 0; T && T->data && I < T->bytes; ++I)
      Sum = Sum + static_cast<const uint8_t *>(T->data)[I];
  };
  for (uint32_t I = 0; I < C->input_count; ++I)
    Read(C->inputs[I]);
  for (uint32_t A = 0; A < C->attribute_count; ++A)
    Read(C->attributes[A]->tensor);
  for (uint32_t O = 0; O < C->output_count; ++O) {
    const limosa_operator_tensor *T = C->outputs[O];
    const int64_t Dims[LIMOSA_MAX_RANK] = {3, 2, 1};
    if (!T->data && !C->allocate(C, O, T->rank, Dims))
      return LIMOSA_STATUS_FAILED;
    std::memset(T->data, 1, T->bytes);
  }
  // The inputs are still there after outputs got their memory.
  for (uint32_t I = 0; I < C->input_count; ++I)
    Read(C->inputs[I]);
  return LIMOSA_STATUS_OK;
}

/// The description of test::Op, which it is the kernel of.
inline limosa_operator touchAllOperator() {
  limosa_operator Op = {};
  Op.size = sizeof(Op);
  Op.domain = "test";
  Op.name = "Op";
  Op.infer = [](const limosa_operator_shapes *) -> int32_t { return 0; };
  Op.run = touchAll;
  return Op;
}

} // namespace limosa::test

#endif // LIMOSA_TEST_UNIT_RUNTIME_TOUCHALL_H
