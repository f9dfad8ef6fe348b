//===- Custom.cpp - Operators that users registered -----------------------===//

#include "Custom.h"
#include "Tensors.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

//===----------------------------------------------------------------------===//
// What user code sees
//===----------------------------------------------------------------------===//

static std::vector<const char *> pointers(ArrayRef<std::string> Texts) {
  std::vector<const char *> Out;
  for (const std::string &Text : Texts)
    Out.push_back(Text.c_str());
  return Out;
}

void TypeView::fillValue(const Tensor &T) {
  if (!T.Const || isCarried(T.Type.getElementType()))
    return;
  auto Raw = rawElements(T.Const);
  if (!Raw)
    return;
  DType Type = getDType(T.Type.getElementType());
  uint64_t Bytes = uint64_t(dtypeBytes(Type, T.Type.getNumElements()));
  Sizes.assign(T.Type.getShape().begin(), T.Type.getShape().end());
  bool Whole = Raw->Bytes.size() >= Bytes;
  if (!Whole && (!Raw->Splat || Raw->Bytes.empty()))
    return;
  // A file's bytes may lie anywhere.
  Words.resize(Bytes / sizeof(uint64_t) + 1);
  char *To = reinterpret_cast<char *>(Words.data());
  if (Whole)
    std::copy_n(Raw->Bytes.begin(), Bytes, To);
  else
    for (uint64_t At = 0; At + Raw->Bytes.size() <= Bytes;
         At += Raw->Bytes.size())
      std::copy(Raw->Bytes.begin(), Raw->Bytes.end(), To + At);
  Value = runtime::operatorTensor(Type, Sizes, To);
  Table.value = &Value;
}

bool TypeView::fill(Importer &I, Tensor &T) {
  if (!T.Type || isCarried(T.Type.getElementType()))
    return false;
  for (const DimExpr &D : getDims(T.Type))
    DimTexts.push_back(D.toString());
  Dims = pointers(DimTexts);
  Table.size = sizeof(Table);
  Table.dtype = uint32_t(getDType(T.Type.getElementType()));
  Table.rank = uint32_t(Dims.size());
  Table.dims = Dims.data();
  fillValue(T);
  KnownRef Known =
      isa<IntegerType>(T.Type.getElementType()) ? I.known(T) : nullptr;
  if (!Known)
    return true;
  for (const KnownNumber &N : Known->Elements)
    ElementTexts.push_back(N.Num.toString());
  Elements = pointers(ElementTexts);
  Table.elements = Elements.data();
  Table.element_count = Elements.size();
  return true;
}

LogicalResult NodeView::fill(Node &N) {
  for (unsigned K = 0; K < N.numInputs(); ++K) {
    Inputs.push_back(nullptr);
    if (!N.has(K))
      continue;
    if (!Types.emplace_back().fill(N.I, N.tensor(K)))
      return N.fail("input " + Twine(K) +
                    " is not of a type that operators of users can have");
    Inputs.back() = &Types.back().Table;
  }
  // Of attributes that a model gives twice the first counts, as elsewhere.
  llvm::StringSet<> Seen;
  for (const onnx::AttributeProto &Own : N.P.attribute()) {
    StringRef Name = Own.name();
    const onnx::AttributeProto *A = N.findAttr(Name);
    if (!A || !Seen.insert(Name).second)
      continue;
    switch (A->type()) {
    case onnx::AttributeProto::INT:
      AttributeMemory.addInt(Name, A->i());
      break;
    case onnx::AttributeProto::FLOAT:
      AttributeMemory.addFloat(Name, double(A->f()));
      break;
    case onnx::AttributeProto::STRING:
      AttributeMemory.addString(Name, A->s());
      break;
    case onnx::AttributeProto::INTS:
      AttributeMemory.addInts(Name, {A->ints().begin(), A->ints().end()});
      break;
    case onnx::AttributeProto::FLOATS:
      AttributeMemory.addFloats(Name, {A->floats().begin(), A->floats().end()});
      break;
    case onnx::AttributeProto::STRINGS:
      AttributeMemory.addStrings(Name,
                                 {A->strings().begin(), A->strings().end()});
      break;
    case onnx::AttributeProto::TENSOR: {
      auto Value = readTensor(N.I.context(), N.I.file(), A->t());
      if (!Value)
        return N.fail("attribute '" + Name +
                      "': " + toString(Value.takeError()));
      Tensor T = Tensor::of(*Value);
      TypeView &View = Types.emplace_back();
      if (!View.fill(N.I, T) || !View.Table.value)
        return N.fail("attribute '" + Name +
                      "' is not of a type that operators of users can have");
      const limosa_operator_tensor &Bytes = *View.Table.value;
      AttributeMemory.addTensor(
          Name, DType(Bytes.dtype), {Bytes.dims, Bytes.dims + Bytes.rank},
          {static_cast<const uint8_t *>(Bytes.data), size_t(Bytes.bytes)});
      Tensors[Name] = *Value;
      break;
    }
    default:
      return N.fail("attribute '" + Name +
                    "' is of a kind that operators of users cannot have");
    }
  }
  Attributes = AttributeMemory.list();
  return success();
}

//===----------------------------------------------------------------------===//
// The shape function
//===----------------------------------------------------------------------===//

namespace {

/// What a shape function answers, checked.
class ShapeAnswer {
public:
  ShapeAnswer(Node &N, NodeView &View) : N(N), Types(N.numOutputs()) {
    for (const limosa_operator_type *In : View.Inputs)
      if (In) {
        for (uint32_t D = 0; D < In->rank; ++D)
          parseDim(In->dims[D]).collectSymbols(Known);
        for (uint64_t E = 0; E < In->element_count; ++E)
          parseDim(In->elements[E]).collectSymbols(Known);
      }
  }

  LogicalResult ask(const limosa_operator &Op, NodeView &View) {
    auto Table = View.table<limosa_operator_shapes>(N, Op);
    Table.context = this;
    Table.set_output = [](const limosa_operator_shapes *S, uint32_t Output,
                          uint32_t Type, uint32_t Rank,
                          const char *const *Dims) -> int32_t {
      return static_cast<ShapeAnswer *>(S->context)
          ->setOutput(Output, Type, Rank, Dims);
    };
    Table.set_error = [](const limosa_operator_shapes *S, const char *Message) {
      static_cast<ShapeAnswer *>(S->context)->Error.say(Message);
    };
    int32_t Code = Op.infer(&Table);
    if (Code != LIMOSA_STATUS_OK || Error)
      return N.fail("the shape function: " + Error.text(Code));
    for (auto [K, Ty] : llvm::enumerate(Types))
      if (!Ty)
        return N.fail("the shape function says nothing of output " + Twine(K));
    return success();
  }

  ArrayRef<Type> types() const { return Types; }
  ArrayRef<Attribute> symbols() const { return Symbols; }

private:
  int32_t refuse(const Twine &Why) {
    Error.say(Why.str().c_str());
    return LIMOSA_STATUS_INVALID_ARGUMENT;
  }

  int32_t setOutput(uint32_t Output, uint32_t Element, uint32_t Rank,
                    const char *const *Dims) {
    std::string What = "output " + std::to_string(Output);
    if (Output >= Types.size())
      return refuse("there is no " + What);
    Type ElementTy = Element <= UINT8_MAX && dtypeBits(DType(Element))
                         ? getElementType(N.I.context(), DType(Element))
                         : Type();
    if (!ElementTy)
      return refuse(What + " has the unknown element type " + Twine(Element));
    if (Rank > MaxRank || (Rank && !Dims))
      return refuse(What + " cannot have rank " + Twine(Rank));
    limosa::Dims Shape;
    for (uint32_t D = 0; D < Rank; ++D) {
      StringRef Text = Dims[D] ? Dims[D] : "";
      if (Text == "?") {
        Shape.push_back(N.I.freshSymbol(N.op()));
        Symbols.push_back(N.B.builder().getStringAttr(Shape.back().toString()));
        continue;
      }
      std::string Why;
      auto Size = DimExpr::parse(std::string_view(Text), &Why);
      if (!Size)
        return refuse(What + " has the dimension '" + Text + "': " + Why);
      for (const std::string &Symbol : Size->symbols())
        if (!Known.count(Symbol))
          return refuse(What + " has the dimension '" + Text +
                        "', but no input has '" + Symbol + "'");
      if (auto C = Size->constant(); C && *C < 0)
        return refuse(What + " has the dimension " + Text);
      Shape.push_back(*Size);
    }
    Types[Output] = makeTensorType(Shape, ElementTy);
    return LIMOSA_STATUS_OK;
  }

  static constexpr uint32_t MaxRank = 16; // LIMOSA_MAX_RANK of limosa.h

  Node &N;
  SmallVector<Type> Types;
  SmallVector<Attribute> Symbols;
  std::set<std::string> Known;
  runtime::OperatorError Error;
};

} // namespace

//===----------------------------------------------------------------------===//
// The call
//===----------------------------------------------------------------------===//

/// The node's attributes as those of a custom_call.
static DictionaryAttr callConfig(Node &N, const NodeView &View) {
  auto &B = N.B.builder();
  auto Text = [&](const limosa_string &S) {
    return B.getStringAttr(StringRef(S.data, S.length));
  };
  SmallVector<NamedAttribute> Config;
  for (const limosa_operator_attribute *A : View.Attributes) {
    Attribute Value;
    switch (A->kind) {
    case LIMOSA_ATTRIBUTE_INT:
      Value = B.getI64IntegerAttr(*A->ints);
      break;
    case LIMOSA_ATTRIBUTE_FLOAT:
      Value = B.getF64FloatAttr(*A->floats);
      break;
    case LIMOSA_ATTRIBUTE_STRING:
      Value = Text(*A->strings);
      break;
    case LIMOSA_ATTRIBUTE_INTS:
      Value = B.getDenseI64ArrayAttr(ArrayRef(A->ints, A->count));
      break;
    case LIMOSA_ATTRIBUTE_FLOATS:
      Value = B.getDenseF64ArrayAttr(ArrayRef(A->floats, A->count));
      break;
    case LIMOSA_ATTRIBUTE_STRINGS:
      Value = B.getArrayAttr(llvm::map_to_vector(
          ArrayRef(A->strings, A->count),
          [&](const limosa_string &S) -> Attribute { return Text(S); }));
      break;
    default:
      Value = View.Tensors.lookup(A->name);
      break;
    }
    Config.push_back({B.getStringAttr(A->name), Value});
  }
  return B.getDictionaryAttr(Config);
}

LogicalResult
limosa::onnximport::importCustomOperator(Node &N, const limosa_operator &Op) {
  std::string Why =
      runtime::arityProblem(Op.arity, N.numInputs(), N.numOutputs(),
                            [&](uint32_t K) { return N.has(K); });
  if (!Why.empty())
    return N.fail(Why);
  NodeView View;
  if (failed(View.fill(N)))
    return failure();
  bool PreferKernel = Op.run && (Op.flags & LIMOSA_OPERATOR_PREFER_KERNEL);
  if (Op.build && !PreferKernel) {
    BodyResult Result = importCustomBody(N, Op, View);
    if (Result != BodyResult::Declined)
      return success(Result == BodyResult::Made);
  }
  if (!Op.run || !Op.infer)
    return N.fail("the operator's body does not take these inputs, and there "
                  "is no kernel with a shape function");
  ShapeAnswer Answer(N, View);
  if (failed(Answer.ask(Op, View)))
    return failure();
  SmallVector<Value> Operands;
  Ints Slots;
  for (unsigned K = 0; K < N.numInputs(); ++K)
    if (N.has(K)) {
      Operands.push_back(N.in(K));
      Slots.push_back(K);
    }
  bool AllGiven = Slots.size() == N.numInputs();
  auto &B = N.B.builder();
  auto Call = CustomCallOp::create(
      B, N.B.loc(), Answer.types(), Operands,
      B.getStringAttr(Twine(Op.domain) + "::" + Op.name),
      B.getI64IntegerAttr(Op.since_version), callConfig(N, View),
      AllGiven ? DenseI64ArrayAttr() : B.getDenseI64ArrayAttr(Slots),
      Answer.symbols().empty() ? ArrayAttr() : B.getArrayAttr(Answer.symbols()),
      Op.flags & LIMOSA_OPERATOR_STATEFUL ? B.getUnitAttr() : UnitAttr());
  return N.done(Call.getOutputs());
}
