//===- LimosaInterfaces.td - What every core op answers ----*- tablegen -*-===//

#ifndef LIMOSA_IR_INTERFACES
#define LIMOSA_IR_INTERFACES

include "mlir/IR/OpBase.td"

def CoreOpInterface : OpInterface<"CoreOp"> {
  let cppNamespace = "::limosa";
  let description = [{
    Implemented by the counted core ops (at most 50) and by nothing else. The
    iteration space is what sharding, tiling, layout, batching and cost read.
  }];
  let methods = [
    InterfaceMethod<
      "The op's iteration space: its dimensions and how each operand and "
      "result dimension follows them.",
      "::limosa::IterationSpace", "getIterationSpace">,
    StaticInterfaceMethod<
      "Version of the op's definition, written with every serialised instance. "
      "Raise it when the meaning of operands or attributes changes, and add an "
      "upgrader in lib/IR/Upgrade.cpp.",
      "uint16_t", "getDefinitionVersion", (ins), [{}], [{ return 1; }]>,
  ];
}

#endif // LIMOSA_IR_INTERFACES
