//===- LimosaOps.td - The limosa dialect -------------------*- tablegen -*-===//
//
// The 50 core ops are in ElementwiseOps.td (27), DataOps.td (10),
// StructuredOps.td (7) and ControlOps.td (6). Here are the ops that are not
// counted: they compute nothing by themselves.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_IR_OPS
#define LIMOSA_IR_OPS

include "limosa/IR/ElementwiseOps.td"
include "limosa/IR/DataOps.td"
include "limosa/IR/StructuredOps.td"
include "limosa/IR/ControlOps.td"

def Limosa_ConstantOp : Limosa_Op<"constant", [Pure, ConstantLike]> {
  let summary = "Tensor known at compile time";
  let description = "Small constants are dense elements, weights are dense resources that map the model's file.";
  let arguments = (ins ElementsAttr:$value);
  let results = (outs Limosa_Tensor:$result);
  let hasFolder = 1;
  let hasVerifier = 1;
  let assemblyFormat = ?;
  let hasCustomAssemblyFormat = 1;
}
def Limosa_CompositeOp : Limosa_Op<"composite", [Pure,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Named function of core ops that a device may claim whole";
  let description = "Equal to a call of the private function `body`. `composite` and `version` identify the contract; `config` holds the attributes those of the composite's schema (docs/composites.md).";
  let arguments = (ins Variadic<Limosa_Tensor>:$inputs, StrAttr:$composite,
                       I64Attr:$version, DictionaryAttr:$config,
                       FlatSymbolRefAttr:$body);
  let results = (outs Variadic<Limosa_Tensor>:$outputs);
}
def Limosa_CustomCallOp : Limosa_Op<"custom_call", [
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "Call of an operator of the host";
  let description = [{
    Runs operator `target` ("domain::Op") of `version`, which somebody registered
    (limosa/operator.h), on row-major tensors in the host's memory. `slots`, if
    present, says which input of the operator each operand is: inputs between
    them are not given. `symbols` are bare dimensions of the results that get
    their value by the call. Attributes in `config`: i64, f64, strings, dense
    arrays of i64 and f64, arrays of strings, and elements. A call that is
    neither `stateful` nor gives symbols a value is free of effects.
  }];
  let arguments = (ins Variadic<AnyType>:$inputs, StrAttr:$target,
                       DefaultValuedAttr<I64Attr, "1">:$version,
                       DictionaryAttr:$config,
                       OptionalAttr<DenseI64ArrayAttr>:$slots,
                       OptionalAttr<StrArrayAttr>:$symbols,
                       UnitAttr:$stateful);
  let results = (outs Variadic<AnyType>:$outputs);
  let hasVerifier = 1;
}
def Limosa_StringIndexOp : Limosa_Op<"string_index", [Pure]> {
  let summary = "Positions of strings in a list";
  let description = "result[i] is the position of operand[i] among `strings`, the last of equal ones, or -1 if it is not there. `limosa-lower-strings` makes a table of it that kernels read.";
  let arguments = (ins Limosa_StringTensor:$operand, StrArrayAttr:$strings);
  let results = (outs Limosa_TensorOf<I<64>>:$result);
  let hasVerifier = 1;
}
def Limosa_DimOp : Limosa_Op<"dim", [Pure]> {
  let summary = "Value of a dimension expression as a rank-0 i64 tensor";
  let arguments = (ins StrAttr:$expr);
  let results = (outs 0DTensorOf<[I64]>:$result);
  let hasFolder = 1;
  let hasVerifier = 1;
}
def Limosa_BindSymbolOp : Limosa_Op<"bind_symbol"> {
  let summary = "Gives a symbol the value of a rank-0 i64 tensor";
  let description = "The value is read when the program reaches the op; shapes that use the symbol come after it. What is known about the value stands in the module's `limosa.symbols`. `reshape`s that use the symbol must not be moved above it.";
  let arguments = (ins 0DTensorOf<[I64]>:$value, StrAttr:$symbol);
}
def Limosa_AssertOp : Limosa_Op<"assert"> {
  let summary = "Stops the program with a message unless all elements are true";
  let arguments = (ins Limosa_BoolTensor:$condition, StrAttr:$message);
}
def Limosa_AssertExprOp : Limosa_Op<"assert_expr"> {
  let summary = "Stops the program with a message unless two dimension expressions are equal";
  let arguments = (ins StrAttr:$lhs, StrAttr:$rhs, StrAttr:$message);
}
def Limosa_BarrierOp : Limosa_Op<"barrier", [Pure]> {
  let summary = "Values that the optimiser must not look through";
  let arguments = (ins Variadic<Limosa_Tensor>:$inputs);
  let results = (outs Variadic<Limosa_Tensor>:$outputs);
}
def Limosa_RelayoutOp : Limosa_Op<"relayout", [Pure]> {
  let summary = "Same tensor in another physical order";
  let description = "Changes only the encoding's `order`. The layout pass inserts it; nothing else moves data between layouts.";
  let arguments = (ins Limosa_Tensor:$operand);
  let results = (outs Limosa_Tensor:$result);
  let hasFolder = 1;
  let hasVerifier = 1;
}
def Limosa_LaunchOp : Limosa_Op<"launch", [
    DeclareOpInterfaceMethods<SymbolUserOpInterface>, Pure]> {
  let summary = "Call of an outlined kernel";
  let description = "Dispatch outlines groups of core ops into functions marked `limosa.kernel`; `device` names who runs it. `donate[r]`, if present and not negative, is the operand whose memory result r takes over.";
  let arguments = (ins Variadic<Limosa_Tensor>:$inputs,
                       FlatSymbolRefAttr:$kernel,
                       DefaultValuedStrAttr<StrAttr, "cpu">:$device,
                       OptionalAttr<DenseI64ArrayAttr>:$donate);
  let results = (outs Variadic<Limosa_Tensor>:$outputs);
}
def Limosa_YieldOp : Limosa_Op<"yield", [Pure, Terminator, ReturnLike]> {
  let summary = "Ends a region with its values";
  let arguments = (ins Variadic<Limosa_Tensor>:$values);
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
}

#endif // LIMOSA_IR_OPS
