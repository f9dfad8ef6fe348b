//===- CustomBody.cpp - Bodies of operators that users registered ---------===//
//
// A body is made of ONNX operators, one call of `make` for each; they are
// imported like nodes of the model, so that a user's mistake gets the error
// that a model's would.
//
//===----------------------------------------------------------------------===//

#include "Custom.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

namespace {

/// Operator set of the body if the operator does not say.
constexpr int64_t DefaultOpset = 21;

class BodyBuilder {
public:
  BodyBuilder(Node &N, const limosa_operator &Op, NodeView &View)
      : N(N), Op(Op), View(View), Outputs(N.numOutputs()) {
    if (N.F.Opsets)
      Opsets = *N.F.Opsets;
    Opsets[""] = Op.body_opset ? int64_t(Op.body_opset) : DefaultOpset;
    Opsets.try_emplace("com.microsoft", 1);
    Inner.Opsets = &Opsets;
    for (unsigned K = 0; K < N.numInputs(); ++K)
      if (N.has(K))
        Inner.Names[name(K)] = N.tensor(K);
    Count = N.numInputs();
  }

  BodyResult run() {
    auto &B = N.B.builder();
    Block *At = B.getInsertionBlock();
    Operation *Before = nullptr;
    if (B.getInsertionPoint() != At->begin())
      Before = &*std::prev(B.getInsertionPoint());
    Operation *After =
        B.getInsertionPoint() == At->end() ? nullptr : &*B.getInsertionPoint();

    auto Table = View.table<limosa_operator_builder>(N, Op);
    Table.context = this;
    Table.make = [](const limosa_operator_builder *B, const char *Name,
                    const uint32_t *Operands, uint32_t OperandCount,
                    const limosa_operator_attribute *const *Attributes,
                    uint32_t AttributeCount, uint32_t *Results,
                    uint32_t ResultCount) {
      return of(B).make(Name, ArrayRef(Operands, OperandCount),
                        ArrayRef(Attributes, AttributeCount), Results,
                        ResultCount);
    };
    Table.constant = [](const limosa_operator_builder *B,
                        const limosa_operator_tensor *Value, uint32_t *Result) {
      return of(B).constant(Value, Result);
    };
    Table.type = [](const limosa_operator_builder *B, uint32_t Value) {
      return of(B).type(Value);
    };
    Table.set_output = [](const limosa_operator_builder *B, uint32_t Output,
                          uint32_t Value) {
      return of(B).setOutput(Output, Value);
    };
    Table.set_error = [](const limosa_operator_builder *B,
                         const char *Message) { of(B).Error.say(Message); };
    int32_t Code = Op.build(&Table);
    if (Code == LIMOSA_STATUS_UNSUPPORTED && !Broken) {
      undo(At, Before, After);
      return BodyResult::Declined;
    }
    if (Code != LIMOSA_STATUS_OK || Error)
      return fail(Error.text(Code));
    for (auto [K, T] : llvm::enumerate(Outputs)) {
      if (!T && N.wants(K))
        return fail("does not make output " + std::to_string(K));
      N.out(K, T);
    }
    return BodyResult::Made;
  }

private:
  static BodyBuilder &of(const limosa_operator_builder *B) {
    return *static_cast<BodyBuilder *>(B->context);
  }
  static std::string name(uint32_t Value) { return std::to_string(Value); }

  BodyResult fail(const std::string &Why) {
    N.fail("the operator's body: " + Why);
    return BodyResult::Failed;
  }

  /// Removes the ops that were made.
  static void undo(Block *At, Operation *Before, Operation *After) {
    auto From = Before ? std::next(Block::iterator(Before)) : At->begin();
    auto To = After ? Block::iterator(After) : At->end();
    // Users first.
    SmallVector<Operation *> Made;
    for (Operation &Op : llvm::make_range(From, To))
      if (!isa<ConstantOp>(Op)) // the importer may hold on to it
        Made.push_back(&Op);
    for (Operation *Op : llvm::reverse(Made))
      Op->erase();
  }

  /// A mistake that makes the body fail whatever the user's function returns.
  int32_t broken(const Twine &Why) {
    Broken = true;
    Error.say(Why.str().c_str());
    return LIMOSA_STATUS_INVALID_ARGUMENT;
  }

  Tensor *find(uint32_t Value) {
    auto It = Inner.Names.find(name(Value));
    return It == Inner.Names.end() ? nullptr : &It->second;
  }

  bool addAttribute(onnx::NodeProto &P, const limosa_operator_attribute &A);

  int32_t make(const char *Name, ArrayRef<uint32_t> Operands,
               ArrayRef<const limosa_operator_attribute *> Attributes,
               uint32_t *Results, uint32_t ResultCount) {
    if (!Name || !*Name || !Results || ResultCount == 0 || ResultCount > 1024)
      return broken("make needs an operator and room for its results");
    // Nodes stay as long as the importer refers to them.
    onnx::NodeProto &P = N.I.file()->addNode();
    auto [Domain, Op] = StringRef(Name).rsplit("::");
    P.set_domain(Op.empty() ? "" : Domain.str());
    P.set_op_type(Op.empty() ? Name : Op.str());
    P.set_name(N.P.name() + "/" + P.op_type());
    for (uint32_t Operand : Operands) {
      if (Operand != LIMOSA_OPERATOR_NONE && !find(Operand))
        return broken(Twine(Name) + " is given value " + Twine(Operand) +
                      ", which does not exist");
      P.add_input(Operand == LIMOSA_OPERATOR_NONE ? "" : name(Operand));
    }
    for (const limosa_operator_attribute *A : Attributes)
      if (!A || !A->name || !addAttribute(P, *A))
        return broken(Twine(Name) + " is given an attribute of a kind that "
                                    "bodies do not take");
    for (uint32_t R = 0; R < ResultCount; ++R)
      P.add_output(name(Count + R));
    std::string Why;
    LogicalResult Done = N.I.attempt([&]() -> LogicalResult {
      size_t Before = N.I.numRefusals();
      if (failed(N.I.importAlone(P, Inner)))
        return failure();
      if (N.I.numRefusals() == Before)
        return success();
      Why = N.I.lastRefusal();
      return failure();
    });
    if (failed(Done))
      return broken(Twine(Name) + ": " +
                    (Why.empty() ? "cannot be imported" : Why));
    for (uint32_t R = 0; R < ResultCount; ++R)
      Results[R] = Count++;
    return LIMOSA_STATUS_OK;
  }

  int32_t constant(const limosa_operator_tensor *Value, uint32_t *Result) {
    if (!Value || !Result || Value->rank > 16 || (Value->rank && !Value->dims))
      return broken("constant needs a value");
    Type Element = Value->dtype <= UINT8_MAX && dtypeBits(DType(Value->dtype))
                       ? getElementType(N.I.context(), DType(Value->dtype))
                       : Type();
    int64_t Elements = 1;
    for (uint32_t D = 0; D < Value->rank; ++D)
      if (Value->dims[D] < 0 ||
          llvm::MulOverflow(Elements, Value->dims[D], Elements))
        return broken("a constant has wrong dimensions");
    constexpr int64_t MaxElements = int64_t(1) << 32;
    if (!Element || dtypeBits(DType(Value->dtype)) < 8 ||
        DType(Value->dtype) == DType::String || Elements > MaxElements ||
        (Elements && !Value->data))
      return broken("a constant of a type that bodies do not take");
    const uint64_t Size = uint64_t(dtypeBytes(DType(Value->dtype), Elements));
    if (Value->bytes != Size)
      return broken("a constant of " + Twine(Size) + " bytes is given " +
                    Twine(Value->bytes));
    auto Ty = RankedTensorType::get({Value->dims, Value->rank}, Element);
    const char *Bytes = static_cast<const char *>(Value->data);
    DenseElementsAttr Attr;
    if (DType(Value->dtype) == DType::Bool) {
      SmallVector<bool> Bits;
      for (int64_t I = 0; I < Elements; ++I)
        Bits.push_back(Bytes[I] != 0);
      Attr = DenseElementsAttr::get(Ty, Bits);
    } else {
      Attr = DenseElementsAttr::getFromRawBuffer(Ty,
                                                 ArrayRef(Bytes, size_t(Size)));
    }
    *Result = Count++;
    Inner.Names[name(*Result)] = Tensor::of(ElementsAttr(Attr));
    return LIMOSA_STATUS_OK;
  }

  const limosa_operator_type *type(uint32_t Value) {
    Tensor *T = find(Value);
    return T && Types.emplace_back().fill(N.I, *T) ? &Types.back().Table
                                                   : nullptr;
  }

  int32_t setOutput(uint32_t Output, uint32_t Value) {
    Tensor *T = find(Value);
    if (Output >= Outputs.size() || !T || !*T)
      return broken("there is no output " + Twine(Output) + " or no value " +
                    Twine(Value));
    Outputs[Output] = *T;
    return LIMOSA_STATUS_OK;
  }

  Node &N;
  const limosa_operator &Op;
  NodeView &View;
  Frame Inner;
  llvm::StringMap<int64_t> Opsets;
  SmallVector<Tensor> Outputs;
  std::deque<TypeView> Types;
  uint32_t Count;
  bool Broken = false;
  runtime::OperatorError Error;
};

bool BodyBuilder::addAttribute(onnx::NodeProto &P,
                               const limosa_operator_attribute &A) {
  onnx::AttributeProto &To = *P.add_attribute();
  To.set_name(A.name);
  bool Single = A.count == 1;
  switch (A.kind) {
  case LIMOSA_ATTRIBUTE_INT:
    To.set_type(onnx::AttributeProto::INT);
    return Single && A.ints && (To.set_i(A.ints[0]), true);
  case LIMOSA_ATTRIBUTE_FLOAT:
    To.set_type(onnx::AttributeProto::FLOAT);
    return Single && A.floats && (To.set_f(float(A.floats[0])), true);
  case LIMOSA_ATTRIBUTE_STRING:
    To.set_type(onnx::AttributeProto::STRING);
    return Single && A.strings &&
           (To.set_s({A.strings[0].data, A.strings[0].length}), true);
  case LIMOSA_ATTRIBUTE_INTS:
    To.set_type(onnx::AttributeProto::INTS);
    for (uint64_t I = 0; I < A.count; ++I)
      To.add_ints(A.ints[I]);
    return true;
  case LIMOSA_ATTRIBUTE_FLOATS:
    To.set_type(onnx::AttributeProto::FLOATS);
    for (uint64_t I = 0; I < A.count; ++I)
      To.add_floats(float(A.floats[I]));
    return true;
  case LIMOSA_ATTRIBUTE_STRINGS:
    To.set_type(onnx::AttributeProto::STRINGS);
    for (uint64_t I = 0; I < A.count; ++I)
      To.add_strings({A.strings[I].data, A.strings[I].length});
    return true;
  default:
    return false; // tensors are constants
  }
}

} // namespace

BodyResult limosa::onnximport::importCustomBody(Node &N,
                                                const limosa_operator &Op,
                                                NodeView &View) {
  return BodyBuilder(N, Op, View).run();
}
