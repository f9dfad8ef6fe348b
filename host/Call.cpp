//===- Call.cpp - A kernel's view of its call -----------------------------===//

#include "Call.h"

#include <vector>

using namespace limosa::host;

static int32_t noShapes(const limosa_operator_shapes *Shapes) {
  Shapes->set_error(Shapes, "operators of domain 'limosa' are the compiler's");
  return LIMOSA_STATUS_UNSUPPORTED;
}

int32_t limosa::host::offer(
    std::initializer_list<std::pair<const char *, Kernel>> Kernels,
    uint32_t MinVersion, uint32_t MaxVersion,
    const limosa_operator_library **Out) {
  struct Offer {
    std::vector<limosa_operator> Operators;
    std::vector<const limosa_operator *> Pointers;
    limosa_operator_library Library = {};
  };
  static const Offer Made = [&] {
    Offer O;
    for (const auto &[Name, Run] : Kernels) {
      limosa_operator Op = {};
      Op.size = sizeof(Op);
      Op.domain = "limosa";
      Op.name = Name;
      Op.since_version = 1;
      Op.infer = noShapes;
      Op.run = Run;
      O.Operators.push_back(Op);
    }
    for (const limosa_operator &Op : O.Operators)
      O.Pointers.push_back(&Op);
    O.Library.size = sizeof(O.Library);
    O.Library.version = LIMOSA_OPERATOR_VERSION;
    O.Library.operator_count = uint32_t(O.Pointers.size());
    O.Library.operators = O.Pointers.data();
    return O;
  }();
  if (MinVersion > LIMOSA_OPERATOR_VERSION ||
      MaxVersion < LIMOSA_OPERATOR_VERSION)
    return LIMOSA_STATUS_UNSUPPORTED;
  *Out = &Made.Library;
  return LIMOSA_STATUS_OK;
}

bool Call::takes(std::initializer_list<uint32_t> Inputs,
                 std::initializer_list<uint32_t> Outputs) const {
  if (C->input_count != Inputs.size() || C->output_count != Outputs.size() ||
      C->size < sizeof(*C)) {
    fail("the kernel takes " + std::to_string(Inputs.size()) +
         " inputs and gives " + std::to_string(Outputs.size()) + " outputs");
    return false;
  }
  auto same = [](uint32_t Wanted, const limosa_operator_tensor *T) {
    return T && (!Wanted || Wanted == T->dtype);
  };
  uint32_t K = 0;
  for (uint32_t Type : Inputs)
    if (!same(Type, C->inputs[K++])) {
      fail("input " + std::to_string(K - 1) + " has a wrong element type");
      return false;
    }
  K = 0;
  for (uint32_t Type : Outputs)
    if (!same(Type, C->outputs[K++])) {
      fail("output " + std::to_string(K - 1) + " has a wrong element type");
      return false;
    }
  return true;
}
