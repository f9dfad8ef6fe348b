//===- LimosaBase.td - Dialect, types, attributes ----------*- tablegen -*-===//

#ifndef LIMOSA_IR_BASE
#define LIMOSA_IR_BASE

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/IR/SymbolInterfaces.td"
include "limosa/IR/LimosaInterfaces.td"

def Limosa_Dialect : Dialect {
  let name = "limosa";
  let cppNamespace = "::limosa";
  let summary = "Deep-learning programs: at most 50 core ops, and composites of them";
  let description = [{
    Tensors are builtin ranked tensors. Signless integers are signed, `ui`
    integers unsigned, `i1` is bool. No core op broadcasts by itself. A dynamic
    dimension carries an expression over named symbols in the tensor's encoding.
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let hasConstantMaterializer = 1;
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

class Limosa_Attr<string name, string mnemo> : AttrDef<Limosa_Dialect, name> {
  let mnemonic = mnemo;
}

def Limosa_EncodingAttr : Limosa_Attr<"Encoding", "enc"> {
  let summary = "Symbolic dimensions and physical order of a tensor";
  let description = [{
    `dims` holds one canonical limosa::DimExpr text per dynamic dimension, in
    order. `order`, if not empty, is a permutation: the physical order of the
    logical dimensions, outermost first ([0, 2, 3, 1] stores a logical NCHW
    tensor as NHWC). Only `relayout` decisions of the layout pass set it.

    ```mlir
    tensor<?x3x?x?xf32, #limosa.enc<["N", "H", "2*W + 1"], [0, 2, 3, 1]>>
    ```
  }];
  let parameters = (ins ArrayRefParameter<"::mlir::StringAttr">:$dims,
                        OptionalArrayRefParameter<"int64_t">:$order);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Limosa_SymbolAttr : Limosa_Attr<"Symbol", "symbol"> {
  let summary = "What is known about a symbol: range, divisibility, bound";
  let description = [{
    Value of an entry of the module's `limosa.symbols` dictionary. The symbol's
    value lies in [min, max], is a multiple of `divisor`, and is at most the
    expression `bound` if that is not empty (a data-dependent size).
  }];
  let parameters = (ins DefaultValuedParameter<"int64_t", "0">:$min,
                        DefaultValuedParameter<"int64_t", "INT64_MAX">:$max,
                        DefaultValuedParameter<"int64_t", "1">:$divisor,
                        StringRefParameter<"upper bound", "\"\"">:$bound);
  let assemblyFormat = "(`<` struct($min, $max, $divisor, $bound)^ `>`)?";
}

def Limosa_CompareDirection : I32EnumAttr<"CompareDirection",
    "How compare relates lhs to rhs", [
      I32EnumAttrCase<"EQ", 0, "eq">, I32EnumAttrCase<"NE", 1, "ne">,
      I32EnumAttrCase<"LT", 2, "lt">, I32EnumAttrCase<"LE", 3, "le">,
      I32EnumAttrCase<"GT", 4, "gt">, I32EnumAttrCase<"GE", 5, "ge">]> {
  let cppNamespace = "::limosa";
  let genSpecializedAttr = 0;
}
def Limosa_CompareDirectionAttr
    : EnumAttr<Limosa_Dialect, Limosa_CompareDirection, "compare"> {
  let assemblyFormat = "`<` $value `>`";
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

def Limosa_StringType : TypeDef<Limosa_Dialect, "String"> {
  let mnemonic = "string";
  let summary = "Element type of tensors of strings";
  let description = [{
    Front ends write it where the model has strings. `limosa-lower-strings`, the
    first pass of all, makes numbers (i64) of them: equal strings have equal
    numbers, so that moving, choosing and comparing them is work for kernels.
  }];
}

def Limosa_Bool : I<1>;
def Limosa_SInt : AnyTypeOf<[I<8>, I<16>, I<32>, I<64>], "signed integer">;
def Limosa_UInt : AnyTypeOf<[UI<8>, UI<16>, UI<32>, UI<64>], "unsigned integer">;
def Limosa_Int : AnyTypeOf<[Limosa_SInt, Limosa_UInt], "integer">;
def Limosa_Float : AnyTypeOf<[F16, BF16, F32, F64], "float">;
def Limosa_Storage : AnyTypeOf<[F8E4M3FN, F8E5M2, F8E4M3FNUZ, F8E5M2FNUZ,
                                F4E2M1FN, I<4>, UI<4>], "storage-only element">;
def Limosa_Number : AnyTypeOf<[Limosa_Int, Limosa_Float], "number">;
def Limosa_Compute : AnyTypeOf<[Limosa_Number, Limosa_Bool], "number or bool">;
def Limosa_String : Type<CPred<"::llvm::isa<::limosa::StringType>($_self)">,
                         "string", "::limosa::StringType">;
def Limosa_Element : AnyTypeOf<[Limosa_Compute, Limosa_Storage, Limosa_String],
                               "element">;

class Limosa_TensorOf<Type element> : RankedTensorOf<[element]>;
def Limosa_Tensor : Limosa_TensorOf<Limosa_Element>;
def Limosa_ComputeTensor : Limosa_TensorOf<Limosa_Compute>;
def Limosa_StringTensor : Limosa_TensorOf<Limosa_String>;
def Limosa_ComparableTensor : Limosa_TensorOf<
    AnyTypeOf<[Limosa_Compute, Limosa_String], "number, bool or string">>;
def Limosa_NumberTensor : Limosa_TensorOf<Limosa_Number>;
def Limosa_FloatTensor : Limosa_TensorOf<Limosa_Float>;
def Limosa_IntTensor : Limosa_TensorOf<Limosa_Int>;
def Limosa_BitsTensor
    : Limosa_TensorOf<AnyTypeOf<[Limosa_Int, Limosa_Bool], "integer or bool">>;
def Limosa_BoolTensor : Limosa_TensorOf<Limosa_Bool>;
def Limosa_IndexTensor : Limosa_TensorOf<AnyTypeOf<[I<32>, I<64>], "index">>;
def Limosa_BoolScalar : 0DTensorOf<[I1]>;

//===----------------------------------------------------------------------===//
// Op classes
//===----------------------------------------------------------------------===//

class Limosa_Op<string mnemonic, list<Trait> traits = []>
    : Op<Limosa_Dialect, mnemonic, traits> {
  let assemblyFormat =
      "operands attr-dict `:` functional-type(operands, results)";
}

/// A counted core op. Each has: a spec sentence (`description`), a verifier,
/// an iteration space, a reference implementation (devices/reference) and, when
/// it is differentiable, a gradient.
class Limosa_CoreOp<string mnemonic, list<Trait> traits = []>
    : Limosa_Op<mnemonic, !listconcat(traits,
        [Pure, DeclareOpInterfaceMethods<CoreOpInterface>])> {
  let hasVerifier = 1;
}

#endif // LIMOSA_IR_BASE
