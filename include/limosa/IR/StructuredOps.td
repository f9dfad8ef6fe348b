//===- StructuredOps.td - Reductions, products, sorting ----*- tablegen -*-===//

#ifndef LIMOSA_IR_STRUCTURED_OPS
#define LIMOSA_IR_STRUCTURED_OPS

include "limosa/IR/LimosaBase.td"

/// Ops with a region over rank-0 tensors, printed between operands and types.
class Limosa_RegionOp<string mnemonic, list<Trait> traits = []>
    : Limosa_CoreOp<mnemonic, !listconcat(traits, [SingleBlock])> {
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat =
      "operands $body attr-dict `:` functional-type(operands, results)";
}

def Limosa_ReduceOp : Limosa_RegionOp<"reduce", [AttrSizedOperandSegments]> {
  let summary = "Combination of all elements along dimensions";
  let description = [{
    n inputs of one shape, n rank-0 inits. The region (acc.., x..: rank-0 tensors)
    yields n accumulators; it is taken to be associative and commutative with the
    inits as identity. result_k drops the dimensions `dims` (strictly increasing).
    Any dtypes.
  }];
  let arguments = (ins Variadic<Limosa_Tensor>:$inputs,
                       Variadic<Limosa_Tensor>:$inits, DenseI64ArrayAttr:$dims);
  let results = (outs Variadic<Limosa_Tensor>:$outputs);
}
def Limosa_ScanOp : Limosa_RegionOp<"scan", [AttrSizedOperandSegments]> {
  let summary = "Running combination along a dimension";
  let description = [{
    Like reduce along `dim`, but result_k[.., i, ..] holds the accumulator after
    element i (before it, if `exclusive`); from the end if `reverse`. Shapes of
    the results are those of the inputs. Elements combine strictly in order.
  }];
  let arguments = (ins Variadic<Limosa_Tensor>:$inputs,
                       Variadic<Limosa_Tensor>:$inits, I64Attr:$dim,
                       BoolAttr:$exclusive, BoolAttr:$reverse);
  let results = (outs Variadic<Limosa_Tensor>:$outputs);
}
def Limosa_WindowOp : Limosa_RegionOp<"window", [AttrSizedOperandSegments]> {
  let summary = "Combination over a sliding window";
  let description = [{
    Like reduce, over the window of `sizes[d]` elements `dilations[d]` apart that
    begins at i_d * strides[d] - pad_low[d]; positions outside the input count
    as the inits. pad_low and pad_high are expressions; result dimension d has
    floordiv(size + pad_low + pad_high - (sizes - 1) * dilations - 1, strides) + 1
    elements. All attributes have one entry per dimension.
  }];
  let arguments = (ins Variadic<Limosa_Tensor>:$inputs,
                       Variadic<Limosa_Tensor>:$inits,
                       DenseI64ArrayAttr:$sizes, DenseI64ArrayAttr:$strides,
                       DenseI64ArrayAttr:$dilations,
                       StrArrayAttr:$pad_low, StrArrayAttr:$pad_high);
  let results = (outs Variadic<Limosa_Tensor>:$outputs);
}
def Limosa_SortOp : Limosa_RegionOp<"sort"> {
  let summary = "Stable sort along a dimension";
  let description = [{
    Sorts the n inputs of one shape together along `dim`, stably, by the region
    (a_0, b_0, a_1, b_1, ..: rank-0 tensors), which yields whether a goes before
    b. Results may be shorter along `dim`: then only the first elements are kept.
    Any dtypes.
  }];
  let arguments = (ins Variadic<Limosa_Tensor>:$inputs, I64Attr:$dim);
  let results = (outs Variadic<Limosa_Tensor>:$outputs);
}
def Limosa_ContractOp : Limosa_CoreOp<"contract"> {
  let summary = "Product summed over shared dimensions";
  let description = [{
    result[b.., m.., n..] = sum over k.. of lhs[b.., m.., k..] * rhs[b.., k.., n..]:
    lhs_batch pairs with rhs_batch, lhs_contract with rhs_contract; m are lhs's
    other dimensions in order, n rhs's. Operand dtypes are alike, or both 8-bit
    integers of either signedness; the result's dtype is that the sum is made in
    (f32 or f64 for floats of at most its width, i32 for 8-bit integers), or the
    operands' own. f16 and bf16 accumulate in f32.
  }];
  let arguments = (ins Limosa_NumberTensor:$lhs, Limosa_NumberTensor:$rhs,
                       DenseI64ArrayAttr:$lhs_batch, DenseI64ArrayAttr:$rhs_batch,
                       DenseI64ArrayAttr:$lhs_contract,
                       DenseI64ArrayAttr:$rhs_contract);
  let results = (outs Limosa_NumberTensor:$result);
}
def Limosa_ConvOp : Limosa_CoreOp<"conv"> {
  let summary = "Convolution (cross-correlation)";
  let description = [{
    input[N, C, X..], filter[O, C / feature_groups, K..], result[N, O, Y..] with
    Y = floordiv(dilated X + pad_low + pad_high - dilated K, strides) + 1, where
    dilated X = (X - 1) * lhs_dilation + 1 (0 when X is 0) and dilated K likewise
    with rhs_dilation. result[n, o, y] = sum over c, k of
    input[n, g * C / G + c, y * strides + k * rhs_dilation - pad_low] *
    filter[o, c, k] with g = o * G / O, G = feature_groups; positions outside or
    between dilated elements count 0. With batch_groups B the result's batch is
    N / B and output channel o reads batch block o * B / O. One to three spatial
    dimensions; pads are expressions. Dtypes as in contract.
  }];
  let arguments = (ins Limosa_NumberTensor:$input, Limosa_NumberTensor:$filter,
                       DenseI64ArrayAttr:$strides,
                       StrArrayAttr:$pad_low, StrArrayAttr:$pad_high,
                       DenseI64ArrayAttr:$lhs_dilation,
                       DenseI64ArrayAttr:$rhs_dilation,
                       I64Attr:$feature_groups, I64Attr:$batch_groups);
  let results = (outs Limosa_NumberTensor:$result);
}
def Limosa_CompactOp : Limosa_CoreOp<"compact"> {
  let summary = "Positions of true elements";
  let description = [{
    indices[j, d] = coordinate d of the j-th true element of mask in row-major
    order; count = their number, which also becomes the value of `symbol`, the
    first dimension of indices. Bool mask of any rank; i64 results.
  }];
  let arguments = (ins Limosa_BoolTensor:$mask, StrAttr:$symbol);
  let results = (outs Limosa_TensorOf<I<64>>:$indices,
                      Limosa_TensorOf<I<64>>:$count);
}

#endif // LIMOSA_IR_STRUCTURED_OPS
