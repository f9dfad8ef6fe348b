//===- operator.hpp - Operators of your own in C++ ------------------*- C++
//-*-===//
//
// A thin, header-only wrapper of operator.h: kernels, shape functions and
// bodies are lambdas. C++17; exceptions, where they are on, become errors of
// the call.
//
//   limosa::Operator Square("my.domain", "Square");
//   Square.inputs(1).outputs(1)
//       .shape([](limosa::OperatorShapes &S) { S.same(0, 0); })
//       .kernel([](limosa::OperatorCall &C) {
//         const float *X = C.input<float>(0);
//         float *Y = C.output<float>(0);
//         for (uint64_t I = 0; I < C.in(0)->elements; ++I)
//           Y[I] = X[I] * X[I];
//       });
//   Context->add(Square);              // limosa.hpp
//
// In a library of operators:
//
//   extern "C" LIMOSA_OPERATOR_EXPORT int32_t limosa_operators_query(
//       uint32_t Min, uint32_t Max, const limosa_operator_library **Out) {
//     static limosa::OperatorLibrary Library({makeSquare()});
//     return Library.query(Min, Max, Out);
//   }
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_OPERATOR_HPP
#define LIMOSA_OPERATOR_HPP

#include "limosa/operator.h"

#include <cstring>
#include <exception>
#include <functional>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace limosa {

/// Attributes by name, with what to take for those that are not given.
template <typename Table> class OperatorNode {
public:
  explicit OperatorNode(const Table *T) : T(T) {}
  OperatorNode(const OperatorNode &) = delete;

  const Table *table() const { return T; }
  uint32_t inputs() const { return T->input_count; }
  uint32_t outputs() const { return T->output_count; }
  /// Whether an optional input is given.
  bool has(uint32_t I) const { return I < T->input_count && T->inputs[I]; }
  /// Input `I`; null if it is not given.
  auto in(uint32_t I) const { return has(I) ? T->inputs[I] : nullptr; }

  const limosa_operator_attribute *attribute(const char *Name) const {
    for (uint32_t A = 0; A < T->attribute_count; ++A)
      if (!std::strcmp(T->attributes[A]->name, Name))
        return T->attributes[A];
    return nullptr;
  }
  int64_t attr(const char *Name, int64_t Default) const {
    auto *A = attribute(Name);
    return A && A->ints && A->count ? A->ints[0] : Default;
  }
  int64_t attr(const char *Name, int Default) const {
    return attr(Name, int64_t(Default));
  }
  double attr(const char *Name, double Default) const {
    auto *A = attribute(Name);
    return A && A->floats && A->count ? A->floats[0] : Default;
  }
  std::string attr(const char *Name, const char *Default) const {
    auto *A = attribute(Name);
    return A && A->strings && A->count
               ? std::string(A->strings[0].data, A->strings[0].length)
               : std::string(Default);
  }
  std::vector<int64_t> ints(const char *Name) const {
    auto *A = attribute(Name);
    return A && A->ints ? std::vector<int64_t>(A->ints, A->ints + A->count)
                        : std::vector<int64_t>();
  }
  std::vector<double> floats(const char *Name) const {
    auto *A = attribute(Name);
    return A && A->floats ? std::vector<double>(A->floats, A->floats + A->count)
                          : std::vector<double>();
  }
  std::vector<std::string> strings(const char *Name) const {
    std::vector<std::string> Texts;
    if (auto *A = attribute(Name))
      for (uint64_t S = 0; A->strings && S < A->count; ++S)
        Texts.emplace_back(A->strings[S].data, A->strings[S].length);
    return Texts;
  }

  /// Makes the function fail with a message of one line, of which the first
  /// counts.
  void fail(const std::string &Message,
            int32_t Status = LIMOSA_STATUS_INVALID_ARGUMENT) {
    T->set_error(T, Message.c_str());
    check(Status);
  }
  int32_t status() const { return Code; }

protected:
  void check(int32_t Status) {
    if (Status && !Code)
      Code = Status;
  }
  const Table *T;
  int32_t Code = LIMOSA_STATUS_OK;
};

/// A call of a kernel.
class OperatorCall : public OperatorNode<limosa_operator_call> {
public:
  using OperatorNode::OperatorNode;

  template <typename E> const E *input(uint32_t I) const {
    return has(I) ? static_cast<const E *>(T->inputs[I]->data) : nullptr;
  }
  /// Output O, or null if the call has fewer.
  const limosa_operator_tensor *out(uint32_t O) const {
    return O < T->output_count ? T->outputs[O] : nullptr;
  }
  /// The elements of an output that has its memory.
  template <typename E> E *output(uint32_t O) const {
    return static_cast<E *>(T->outputs[O]->data);
  }
  /// Gives an output with a "?" dimension its size. Null: return, the call has
  /// failed.
  template <typename E>
  E *allocate(uint32_t O, const std::vector<int64_t> &Dims) {
    void *Data = T->allocate(T, O, uint32_t(Dims.size()), Dims.data());
    if (!Data)
      check(LIMOSA_STATUS_FAILED);
    return static_cast<E *>(Data);
  }
};

/// The question what the types of the outputs are.
class OperatorShapes : public OperatorNode<limosa_operator_shapes> {
public:
  using OperatorNode::OperatorNode;

  std::vector<std::string> dims(uint32_t Input) const {
    const limosa_operator_type *Type = in(Input);
    return Type ? std::vector<std::string>(Type->dims, Type->dims + Type->rank)
                : std::vector<std::string>();
  }
  /// `Dims` are expressions; "?" is a size that the kernel finds.
  void set(uint32_t Output, uint32_t DType,
           const std::vector<std::string> &Dims) {
    std::vector<const char *> Texts;
    for (const std::string &D : Dims)
      Texts.push_back(D.c_str());
    check(
        T->set_output(T, Output, DType, uint32_t(Texts.size()), Texts.data()));
  }
  /// An output of the type of an input.
  void same(uint32_t Output, uint32_t Input) {
    if (has(Input))
      set(Output, in(Input)->dtype, dims(Input));
    else
      fail("input " + std::to_string(Input) + " is missing");
  }
};

/// Makes a body out of ONNX operators.
class OperatorBody : public OperatorNode<limosa_operator_builder> {
public:
  using OperatorNode::OperatorNode;
  using Value = uint32_t;

  /// An attribute to give to an operator.
  struct Attribute {
    Attribute(const char *Name, int64_t V)
        : Name(Name), Kind(LIMOSA_ATTRIBUTE_INT), Ints{V} {}
    Attribute(const char *Name, int V) : Attribute(Name, int64_t(V)) {}
    Attribute(const char *Name, double V)
        : Name(Name), Kind(LIMOSA_ATTRIBUTE_FLOAT), Floats{V} {}
    Attribute(const char *Name, const char *V)
        : Name(Name), Kind(LIMOSA_ATTRIBUTE_STRING), Text(V) {}
    Attribute(const char *Name, std::vector<int64_t> V)
        : Name(Name), Kind(LIMOSA_ATTRIBUTE_INTS), Ints(std::move(V)) {}

    const char *Name;
    uint32_t Kind;
    std::vector<int64_t> Ints;
    std::vector<double> Floats;
    std::string Text;
  };

  /// Operator `Op` ("Mul") on values; the inputs of the node are 0, 1 ...
  Value make(const char *Op, std::initializer_list<Value> Operands,
             const std::vector<Attribute> &Attributes = {}) {
    return make(Op, Operands, Attributes, 1).front();
  }
  std::vector<Value> make(const char *Op, const std::vector<Value> &Operands,
                          const std::vector<Attribute> &Attributes,
                          uint32_t Results) {
    std::vector<limosa_string> Texts;
    for (const Attribute &A : Attributes)
      Texts.push_back({A.Text.data(), A.Text.size()});
    std::vector<limosa_operator_attribute> Tables;
    for (size_t I = 0; I < Attributes.size(); ++I) {
      const Attribute &A = Attributes[I];
      limosa_operator_attribute Table = {};
      Table.size = sizeof(Table);
      Table.name = A.Name;
      Table.kind = A.Kind;
      Table.count = A.Kind == LIMOSA_ATTRIBUTE_INTS ? A.Ints.size() : 1;
      Table.ints = A.Ints.data();
      Table.floats = A.Floats.data();
      Table.strings = &Texts[I];
      Tables.push_back(Table);
    }
    std::vector<const limosa_operator_attribute *> Pointers;
    for (const auto &Table : Tables)
      Pointers.push_back(&Table);
    std::vector<Value> Made(Results, LIMOSA_OPERATOR_NONE);
    if (!Code)
      check(T->make(T, Op, Operands.data(), uint32_t(Operands.size()),
                    Pointers.data(), uint32_t(Pointers.size()), Made.data(),
                    Results));
    return Made;
  }
  /// A constant of the elements' dtype (LIMOSA_F32 for float ...).
  template <typename E>
  Value constant(uint32_t DType, std::vector<int64_t> Dims,
                 std::vector<E> Elements) {
    limosa_operator_tensor Tensor = {};
    Tensor.size = sizeof(Tensor);
    Tensor.dtype = DType;
    Tensor.rank = uint32_t(Dims.size());
    Tensor.dims = Dims.data();
    Tensor.elements = Elements.size();
    Tensor.bytes = Elements.size() * sizeof(E);
    Tensor.data = Elements.data();
    Value Made = LIMOSA_OPERATOR_NONE;
    if (!Code)
      check(T->constant(T, &Tensor, &Made));
    return Made;
  }
  const limosa_operator_type *type(Value V) const { return T->type(T, V); }
  void set(uint32_t Output, Value V) {
    if (!Code)
      check(T->set_output(T, Output, V));
  }
  /// Not for these inputs: the kernel is called instead.
  void decline() { Code = LIMOSA_STATUS_UNSUPPORTED; }
};

/// The description of an operator.
class Operator {
public:
  Operator(std::string Domain, std::string Name, int64_t SinceVersion = 1)
      : Domain(std::move(Domain)), Name(std::move(Name)),
        SinceVersion(SinceVersion) {}

  Operator &kernel(std::function<void(OperatorCall &)> F) {
    Functions.Kernel = std::move(F);
    return *this;
  }
  Operator &shape(std::function<void(OperatorShapes &)> F) {
    Functions.Shape = std::move(F);
    return *this;
  }
  Operator &body(std::function<void(OperatorBody &)> F) {
    Functions.Body = std::move(F);
    return *this;
  }
  /// How many inputs a node may have; the first `Least` are always given.
  /// LIMOSA_OPERATOR_MANY: any number.
  Operator &inputs(uint32_t Least, uint32_t Most) {
    Arity.min_inputs = Least;
    Arity.max_inputs = Most;
    return *this;
  }
  Operator &inputs(uint32_t Count) { return inputs(Count, Count); }
  /// How many outputs a node may have.
  Operator &outputs(uint32_t Least, uint32_t Most) {
    Arity.min_outputs = Least;
    Arity.max_outputs = Most;
    return *this;
  }
  Operator &outputs(uint32_t Count) { return outputs(Count, Count); }
  /// LIMOSA_OPERATOR_*.
  Operator &flags(uint32_t F) {
    Flags = F;
    return *this;
  }
  /// Changes when the shape function or the body do.
  Operator &revision(std::string R) {
    Revision = std::move(R);
    return *this;
  }

  /// The C description, with a copy of the functions that `release` deletes:
  /// to be registered once, while this object lives.
  limosa_operator describe() const {
    limosa_operator Op = {};
    Op.size = sizeof(Op);
    Op.domain = Domain.c_str();
    Op.name = Name.c_str();
    Op.since_version = SinceVersion;
    Op.revision = Revision.c_str();
    Op.flags = Flags;
    Op.arity = &Arity;
    Op.user = new Held(Functions);
    if (Functions.Shape)
      Op.infer = [](const limosa_operator_shapes *S) {
        return enter<OperatorShapes>(S, &Held::Shape);
      };
    if (Functions.Kernel)
      Op.run = [](const limosa_operator_call *C) {
        return enter<OperatorCall>(C, &Held::Kernel);
      };
    if (Functions.Body)
      Op.build = [](const limosa_operator_builder *B) {
        return enter<OperatorBody>(B, &Held::Body);
      };
    Op.release = [](void *User) { delete static_cast<Held *>(User); };
    return Op;
  }

private:
  struct Held {
    std::function<void(OperatorCall &)> Kernel;
    std::function<void(OperatorShapes &)> Shape;
    std::function<void(OperatorBody &)> Body;
  };

  template <typename View, typename Table>
  static int32_t enter(const Table *T,
                       std::function<void(View &)> Held::*Function) {
    View V(T);
#if defined(__cpp_exceptions)
    try {
      (static_cast<Held *>(T->user)->*Function)(V);
    } catch (const std::exception &E) {
      V.fail(E.what(), LIMOSA_STATUS_FAILED);
    } catch (...) {
      V.fail("an exception of an unknown type", LIMOSA_STATUS_FAILED);
    }
#else
    (static_cast<Held *>(T->user)->*Function)(V);
#endif
    return V.status();
  }

  std::string Domain, Name, Revision;
  int64_t SinceVersion;
  uint32_t Flags = 0;
  limosa_operator_arity Arity = {
      sizeof(limosa_operator_arity), nullptr, 0,
      LIMOSA_OPERATOR_MANY,          0,       LIMOSA_OPERATOR_MANY};
  Held Functions;
};

/// What a library of operators answers limosa_operators_query with.
class OperatorLibrary {
public:
  explicit OperatorLibrary(std::vector<Operator> Ops)
      : Operators(std::move(Ops)) {
    for (const Operator &Op : Operators) {
      Tables.push_back(Op.describe());
      Tables.back().release = nullptr; // as long as the library
    }
    for (const limosa_operator &T : Tables)
      Pointers.push_back(&T);
    Table.size = sizeof(Table);
    Table.version = LIMOSA_OPERATOR_VERSION;
    Table.operator_count = uint32_t(Pointers.size());
    Table.operators = Pointers.data();
  }
  OperatorLibrary(const OperatorLibrary &) = delete;

  int32_t query(uint32_t Min, uint32_t Max,
                const limosa_operator_library **Out) const {
    if (Min > LIMOSA_OPERATOR_VERSION || Max < LIMOSA_OPERATOR_VERSION)
      return LIMOSA_STATUS_UNSUPPORTED;
    *Out = &Table;
    return LIMOSA_STATUS_OK;
  }

private:
  std::vector<Operator> Operators;
  std::vector<limosa_operator> Tables;
  std::vector<const limosa_operator *> Pointers;
  limosa_operator_library Table = {};
};

} // namespace limosa

#endif // LIMOSA_OPERATOR_HPP
