//===- ControlOps.td - Randomness, control flow, collectives -*- tablegen -*-===//

#ifndef LIMOSA_IR_CONTROL_OPS
#define LIMOSA_IR_CONTROL_OPS

include "limosa/IR/LimosaBase.td"

def Limosa_RandomBitsOp : Limosa_CoreOp<"random_bits"> {
  let summary = "Counter-based random bits";
  let description = [{
    result, seen row-major as 32-bit words, is the stream of Philox4x32-10
    (Salmon et al., SC 2011) with key = key[0] and 128-bit counters
    (key[1] << 64) + 0, 1, 2, ..; a 64-bit element takes two words, low first.
    The same key gives the same bits everywhere. ui64 key of two elements; ui32 or
    ui64 result.
  }];
  let arguments = (ins Limosa_TensorOf<UI<64>>:$key);
  let results = (outs Limosa_TensorOf<AnyTypeOf<[UI<32>, UI<64>]>>:$result);
}
def Limosa_IfOp : Limosa_CoreOp<"if", [SingleBlock]> {
  let summary = "One of two regions";
  let description = "Runs then_region if the rank-0 bool is true, else else_region, and gives what it yields. Regions take no arguments and see the values around them. Yielded shapes agree with the results' up to symbols.";
  let arguments = (ins Limosa_BoolScalar:$condition);
  let regions = (region SizedRegion<1>:$then_region, SizedRegion<1>:$else_region);
  let results = (outs Variadic<Limosa_Tensor>:$outputs);
  let assemblyFormat = "operands $then_region `else` $else_region attr-dict `:` functional-type(operands, results)";
}
def Limosa_WhileOp : Limosa_CoreOp<"while", [SingleBlock]> {
  let summary = "Repetition";
  let description = [{
    Carries n values. `before` (values..) yields a rank-0 bool; while it is true
    `after` (values..) yields the next values. Results are the last values. A
    carried dimension that changes from one round to the next is named by a
    symbol that only the region's argument types use; results name theirs afresh.
  }];
  let arguments = (ins Variadic<Limosa_Tensor>:$inits);
  let regions = (region SizedRegion<1>:$before, SizedRegion<1>:$after);
  let results = (outs Variadic<Limosa_Tensor>:$outputs);
  let assemblyFormat = "operands $before `do` $after attr-dict `:` functional-type(operands, results)";
}
def Limosa_AllGatherOp : Limosa_CoreOp<"all_gather"> {
  let summary = "Concatenation over ranks";
  let description = "The operands of all ranks along mesh axis `axis`, concatenated along `dim` in rank order; `ranks` is their number. Any dtype.";
  let arguments = (ins Limosa_Tensor:$operand, I64Attr:$dim, StrAttr:$axis,
                       I64Attr:$ranks);
  let results = (outs Limosa_Tensor:$result);
}
def Limosa_ReduceScatterOp : Limosa_CoreOp<"reduce_scatter"> {
  let summary = "Sum over ranks, each keeping a part";
  let description = "The sum over all ranks along mesh axis `axis`, of which rank r keeps the r-th of `ranks` equal parts along `dim`. Sums run in rank order. Any number dtype.";
  let arguments = (ins Limosa_NumberTensor:$operand, I64Attr:$dim, StrAttr:$axis,
                       I64Attr:$ranks);
  let results = (outs Limosa_NumberTensor:$result);
}
def Limosa_PermuteOp : Limosa_CoreOp<"permute"> {
  let summary = "Exchange between ranks";
  let description = "Rank targets[r] along mesh axis `axis` gets rank r's operand; -1 sends nowhere, and a rank that gets none holds zeros. Any dtype.";
  let arguments = (ins Limosa_Tensor:$operand, StrAttr:$axis,
                       DenseI64ArrayAttr:$targets);
  let results = (outs Limosa_Tensor:$result);
}

#endif // LIMOSA_IR_CONTROL_OPS
