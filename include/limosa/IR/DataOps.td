//===- DataOps.td - The 10 core ops that move data ---------*- tablegen -*-===//
//
// Attributes that are arrays of strings hold limosa::DimExpr texts, one per
// dimension. Shapes that follow from neither operands nor attributes are given
// by the result type.

#ifndef LIMOSA_IR_DATA_OPS
#define LIMOSA_IR_DATA_OPS

include "limosa/IR/LimosaBase.td"

def Limosa_IotaOp : Limosa_CoreOp<"iota"> {
  let summary = "Counting along a dimension";
  let description = "result[i0..in] = i_dim, converted to the result's dtype. Any number dtype.";
  let arguments = (ins I64Attr:$dim);
  let results = (outs Limosa_NumberTensor:$result);
}
def Limosa_ReshapeOp : Limosa_CoreOp<"reshape"> {
  let summary = "Same elements, other shape";
  let description = "The result holds the operand's elements in row-major order of the logical dimensions. Any dtype; equal element counts.";
  let arguments = (ins Limosa_Tensor:$operand);
  let results = (outs Limosa_Tensor:$result);
  let hasFolder = 1;
}
def Limosa_TransposeOp : Limosa_CoreOp<"transpose"> {
  let summary = "Permutation of dimensions";
  let description = "result.shape[d] = operand.shape[perm[d]]; result[i0..in] = operand[j] with j[perm[d]] = i[d]. Any dtype.";
  let arguments = (ins Limosa_Tensor:$operand, DenseI64ArrayAttr:$perm);
  let results = (outs Limosa_Tensor:$result);
  let hasFolder = 1;
}
def Limosa_BroadcastOp : Limosa_CoreOp<"broadcast"> {
  let summary = "Repetition along new or unit dimensions";
  let description = "Operand dimension d lies along result dimension dims[d] (strictly increasing); result[i] = operand[j], j[d] = 0 if operand.shape[d] is 1 and i[dims[d]] otherwise. Where neither size is a known 1 the two must be equal when the program runs, or the operand's 1. Any dtype.";
  let arguments = (ins Limosa_Tensor:$operand, DenseI64ArrayAttr:$dims);
  let results = (outs Limosa_Tensor:$result);
  let hasFolder = 1;
}
def Limosa_SliceOp : Limosa_CoreOp<"slice"> {
  let summary = "Regular part of a tensor";
  let description = "result[i] = operand[starts[d] + i_d * steps[d]]; starts are expressions, steps nonzero integers (negative: backwards), all indices lie inside. The result's shape says how many. Any dtype.";
  let arguments = (ins Limosa_Tensor:$operand, StrArrayAttr:$starts,
                       DenseI64ArrayAttr:$steps);
  let results = (outs Limosa_Tensor:$result);
  let hasFolder = 1;
}
def Limosa_PadOp : Limosa_CoreOp<"pad"> {
  let summary = "Padding with one value";
  let description = "Dimension d grows to low[d] + size + (size - 1) * interior[d] + high[d] (interior counts only when size > 0); new elements are the rank-0 `value`. low and high are expressions with values >= 0. Any dtype, value alike.";
  let arguments = (ins Limosa_Tensor:$operand, Limosa_Tensor:$value,
                       StrArrayAttr:$low, StrArrayAttr:$high,
                       DenseI64ArrayAttr:$interior);
  let results = (outs Limosa_Tensor:$result);
  let hasFolder = 1;
}
def Limosa_ConcatOp : Limosa_CoreOp<"concat"> {
  let summary = "Tensors one after the other";
  let description = "The operands (at least one) laid one after the other along `dim`; all other dimensions and the dtypes are equal. Any dtype.";
  let arguments = (ins Variadic<Limosa_Tensor>:$inputs, I64Attr:$dim);
  let results = (outs Limosa_Tensor:$result);
  let hasFolder = 1;
}
def Limosa_GatherOp : Limosa_CoreOp<"gather"> {
  let summary = "Slices at computed positions";
  let description = [{
    operand[B.., X..], indices[B.., P.., k], k = number of `axes`. The first
    `batch` dimensions B are shared. result[b.., p.., s..] = operand at b.. in the
    batch dimensions, indices[b.., p.., j] in dimension axes[j], and s.. in the
    remaining dimensions in their order. Indices are clamped into the operand; one
    without elements gives zeros.
    axes are distinct and >= batch. Any dtype; i32 or i64 indices.
  }];
  let arguments = (ins Limosa_Tensor:$operand, Limosa_IndexTensor:$indices,
                       DenseI64ArrayAttr:$axes, I64Attr:$batch);
  let results = (outs Limosa_Tensor:$result);
}
def Limosa_ScatterOp : Limosa_CoreOp<"scatter", [SingleBlock]> {
  let summary = "Combination into computed positions";
  let description = [{
    The reverse of gather: updates[b.., p.., s..] is combined into a copy of
    operand at the position that gather with the same axes and batch reads. The
    region (old, new: rank-0 tensors) yields the element to store. Updates apply
    in row-major order of their positions; those whose index lies outside are
    dropped. Any dtype; i32 or i64 indices.
  }];
  let arguments = (ins Limosa_Tensor:$operand, Limosa_IndexTensor:$indices,
                       Limosa_Tensor:$updates, DenseI64ArrayAttr:$axes,
                       I64Attr:$batch);
  let regions = (region SizedRegion<1>:$combine);
  let results = (outs Limosa_Tensor:$result);
  let assemblyFormat =
      "operands $combine attr-dict `:` functional-type(operands, results)";
}
def Limosa_UpdateSliceOp : Limosa_CoreOp<"update_slice"> {
  let summary = "Replacement of a part";
  let description = "A copy of operand in which the block of update's shape that begins at starts (tensor of rank elements) is update; starts are clamped so that the block lies inside. Any dtype; i32 or i64 starts.";
  let arguments = (ins Limosa_Tensor:$operand, Limosa_Tensor:$update,
                       Limosa_IndexTensor:$starts);
  let results = (outs Limosa_Tensor:$result);
}

#endif // LIMOSA_IR_DATA_OPS
