//===- Operators.cpp - Operators that are written in Python ---------------===//
//
// What operator.h shows becomes tuples, dictionaries and arrays for the
// functions that limosa/operators.py makes of the user's. Arrays are copies: a
// user may keep them. Exceptions become the status and message of the call.
//
//===----------------------------------------------------------------------===//

#include "Operators.h"
#include "Arrays.h"
#include "Strings.h"

#include <cstring>
#include <deque>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;
using namespace limosa;
using namespace limosa::python;
using namespace nb::literals;

namespace {

/// A copy of a tensor: elements of 4 bits take a byte each, of strings there is
/// a shape and a list.
nb::object arrayOf(const limosa_operator_tensor &T) {
  DType Type = DType(T.dtype);
  if (Type == DType::String)
    return shapeAndTexts(T.data, T.rank, T.dims);
  size_t Shape[LIMOSA_MAX_RANK] = {};
  std::copy_n(T.dims, T.rank, Shape);
  auto *Bytes =
      new std::vector<uint8_t>(isPacked(Type) ? T.elements + 1 : T.bytes + 1);
  if (isPacked(Type))
    unpackElements(static_cast<const uint8_t *>(T.data), T.elements,
                   dtypeBits(Type), Bytes->data());
  else if (T.bytes)
    std::memcpy(Bytes->data(), T.data, T.bytes);
  nb::capsule Owner(Bytes, [](void *Held) noexcept {
    delete static_cast<std::vector<uint8_t> *>(Held);
  });
  return nb::cast(nb::ndarray<nb::numpy>(Bytes->data(), T.rank, Shape, Owner,
                                         nullptr, numpyType(Type)));
}

nb::object textOf(const limosa_string &S) {
  return nb::steal(
      PyUnicode_DecodeUTF8(S.data, Py_ssize_t(S.length), "surrogateescape"));
}

template <typename Table> nb::dict attributesOf(const Table *T) {
  nb::dict Out;
  for (uint32_t I = 0; I < T->attribute_count; ++I) {
    const limosa_operator_attribute &A = *T->attributes[I];
    nb::list Many;
    for (uint64_t E = 0; E < A.count; ++E)
      if (A.kind == LIMOSA_ATTRIBUTE_INT || A.kind == LIMOSA_ATTRIBUTE_INTS)
        Many.append(A.ints[E]);
      else if (A.kind == LIMOSA_ATTRIBUTE_FLOAT ||
               A.kind == LIMOSA_ATTRIBUTE_FLOATS)
        Many.append(A.floats[E]);
      else if (A.kind == LIMOSA_ATTRIBUTE_STRING ||
               A.kind == LIMOSA_ATTRIBUTE_STRINGS)
        Many.append(textOf(A.strings[E]));
    if (A.kind == LIMOSA_ATTRIBUTE_TENSOR)
      Out[A.name] = nb::make_tuple(arrayOf(*A.tensor),
                                   pythonName(DType(A.tensor->dtype)));
    else if (A.kind < LIMOSA_ATTRIBUTE_INTS)
      Out[A.name] = Many[0];
    else
      Out[A.name] = Many;
  }
  return Out;
}

nb::list textsOf(const char *const *Texts, uint64_t Count) {
  nb::list Out;
  for (uint64_t I = 0; I < Count; ++I)
    Out.append(Texts[I]);
  return Out;
}

/// (dtype, dims, value or None, elements or None).
nb::object typeOf(const limosa_operator_type *T) {
  if (!T)
    return nb::none();
  return nb::make_tuple(pythonName(DType(T->dtype)), textsOf(T->dims, T->rank),
                        T->value ? arrayOf(*T->value) : nb::none(),
                        T->elements
                            ? nb::object(textsOf(T->elements, T->element_count))
                            : nb::none());
}

template <typename Table> nb::list typesOf(const Table *T) {
  nb::list Out;
  for (uint32_t I = 0; I < T->input_count; ++I)
    Out.append(typeOf(T->inputs[I]));
  return Out;
}

DType typeNamed(const std::string &Name) {
  for (const TypeName &T : TypeNames)
    if (Name == T.Name)
      return T.Type;
  if (Name == dtypeName(DType::String))
    return DType::String;
  throw nb::type_error(("there is no element type '" + Name + "'").c_str());
}

/// What a Python exception says, as UTF-8. Its own text may fail to be made, or
/// may hold halves of characters.
std::string describe(nb::python_error &E) {
  std::string Text;
  try {
    Text = nb::cast<std::string>(E.type().attr("__name__"));
    nb::object Encoded =
        nb::str(E.value()).attr("encode")("utf-8", "backslashreplace");
    nb::bytes Bytes = nb::cast<nb::bytes>(Encoded);
    Text += ": " + std::string(Bytes.c_str(), Bytes.size());
  } catch (...) {
    Text += Text.empty() ? "an exception without a name" : "";
  }
  return Text;
}

/// Calls `Do`, turning what it throws into a status and a message.
template <typename Table, typename Fn> int32_t guarded(const Table *T, Fn Do) {
  if (!Py_IsInitialized()) {
    T->set_error(T, "Python has ended");
    return LIMOSA_STATUS_FAILED;
  }
  nb::gil_scoped_acquire Lock;
  try {
    Do();
    return LIMOSA_STATUS_OK;
  } catch (nb::python_error &E) {
    const std::string Message = describe(E);
    T->set_error(T, Message.c_str());
    if (E.matches(PyExc_NotImplementedError))
      return LIMOSA_STATUS_UNSUPPORTED;
    if (E.matches(PyExc_MemoryError))
      return LIMOSA_STATUS_OUT_OF_MEMORY;
    return E.matches(PyExc_ValueError) || E.matches(PyExc_TypeError)
               ? LIMOSA_STATUS_INVALID_ARGUMENT
               : LIMOSA_STATUS_FAILED;
  } catch (const std::exception &E) {
    T->set_error(T, E.what());
    return LIMOSA_STATUS_INVALID_ARGUMENT;
  } catch (...) {
    T->set_error(T, "threw what is no exception");
    return LIMOSA_STATUS_FAILED;
  }
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

/// Gives an output its size if it has none yet; false if that is not possible,
/// the reason is known then.
bool sizeOutput(const limosa_operator_call *C, uint32_t Output,
                const std::vector<int64_t> &Dims) {
  const limosa_operator_tensor &T = *C->outputs[Output];
  if (!T.data)
    return C->allocate(C, Output, uint32_t(Dims.size()), Dims.data());
  if (Dims.size() == T.rank && std::equal(Dims.begin(), Dims.end(), T.dims))
    return true;
  std::string Text;
  for (uint32_t D = 0; D < T.rank; ++D)
    Text += (D ? ", " : "") + std::to_string(T.dims[D]);
  throw nb::value_error(("output " + std::to_string(Output) +
                         " does not have the shape [" + Text +
                         "] that the shape function says")
                            .c_str());
}

/// The same for a shape and a list of strings.
void writeStrings(const limosa_operator_call *C, uint32_t Output,
                  nb::handle Given) {
  StringInput Strings;
  limosa_tensor T;
  Strings.fill(T, Given);
  if (!sizeOutput(C, Output, {T.dims, T.dims + T.rank}))
    return;
  for (uint64_t I = 0; I < C->outputs[Output]->elements; ++I)
    C->set_string(C, Output, I, static_cast<limosa_string *>(T.data)[I]);
}

/// Copies a result to an output, which gets its size here if it has none.
void writeOutput(const limosa_operator_call *C, uint32_t Output,
                 const GivenArray &A) {
  const limosa_operator_tensor &T = *C->outputs[Output];
  DType Type = DType(T.dtype);
  nb::dlpack::dtype Wanted = numpyType(Type);
  std::string What = "output " + std::to_string(Output);
  if (A.dtype().code != Wanted.code || A.dtype().bits != Wanted.bits)
    throw nb::type_error(
        (What + " has to be of type " + pythonName(Type)).c_str());
  if (A.ndim() > LIMOSA_MAX_RANK)
    throw nb::value_error((What + " has too many dimensions").c_str());
  std::vector<int64_t> Dims;
  for (size_t D = 0; D < A.ndim(); ++D)
    Dims.push_back(int64_t(A.shape(D)));
  if (!sizeOutput(C, Output, Dims))
    return;
  if (isPacked(Type))
    packElements(static_cast<const uint8_t *>(A.data()), A.size(),
                 dtypeBits(Type), static_cast<uint8_t *>(T.data));
  else if (T.bytes)
    std::memcpy(T.data, A.data(), T.bytes);
}

int32_t run(const limosa_operator_call *C) {
  return guarded(C, [&] {
    nb::list Inputs, Outputs;
    for (uint32_t I = 0; I < C->input_count; ++I)
      if (const limosa_operator_tensor *T = C->inputs[I])
        Inputs.append(nb::make_tuple(arrayOf(*T), pythonName(DType(T->dtype))));
      else
        Inputs.append(nb::none());
    for (uint32_t O = 0; O < C->output_count; ++O)
      Outputs.append(pythonName(DType(C->outputs[O]->dtype)));
    auto &Op = *static_cast<PythonOperator *>(C->user);
    nb::list Results =
        nb::cast<nb::list>(Op.Kernel(Inputs, attributesOf(C), Outputs));
    for (uint32_t O = 0; O < C->output_count; ++O)
      if (C->outputs[O]->dtype == LIMOSA_STRING)
        writeStrings(C, O, Results[O]);
      else
        writeOutput(C, O, nb::cast<GivenArray>(Results[O]));
  });
}

//===----------------------------------------------------------------------===//
// Shape functions and bodies
//===----------------------------------------------------------------------===//

int32_t infer(const limosa_operator_shapes *S) {
  return guarded(S, [&] {
    auto &Op = *static_cast<PythonOperator *>(S->user);
    nb::list Types = nb::cast<nb::list>(
        Op.Shape(typesOf(S), attributesOf(S), S->output_count));
    for (uint32_t O = 0; O < Types.size(); ++O) {
      auto [Type, Dims] =
          nb::cast<std::pair<std::string, std::vector<std::string>>>(Types[O]);
      std::vector<const char *> Texts;
      for (const std::string &D : Dims)
        Texts.push_back(D.c_str());
      S->set_output(S, O, uint32_t(typeNamed(Type)), uint32_t(Texts.size()),
                    Texts.data());
    }
  });
}

/// limosa_operator_builder for Python; good only while the body is made.
class Builder {
public:
  explicit Builder(const limosa_operator_builder *B) : B(B) {}
  void end() { B = nullptr; }

  std::vector<uint32_t> make(const std::string &Op,
                             const std::vector<nb::object> &Operands,
                             nb::dict Attributes, uint32_t Results) {
    std::vector<uint32_t> Values, Made(Results);
    for (const nb::object &V : Operands)
      Values.push_back(V.is_none() ? LIMOSA_OPERATOR_NONE
                                   : nb::cast<uint32_t>(V));
    std::deque<Given> List;
    std::vector<const limosa_operator_attribute *> Pointers;
    for (auto [Name, Value] : Attributes) {
      List.emplace_back().fill(nb::cast<std::string>(Name), nb::borrow(Value));
      Pointers.push_back(&List.back().Table);
    }
    accept(get()->make(B, Op.c_str(), Values.data(), uint32_t(Values.size()),
                       Pointers.data(), uint32_t(Pointers.size()), Made.data(),
                       Results));
    return Made;
  }

  uint32_t constant(GivenArray A, const std::string &Type) {
    std::vector<int64_t> Dims;
    for (size_t D = 0; D < A.ndim(); ++D)
      Dims.push_back(int64_t(A.shape(D)));
    limosa_operator_tensor T = {};
    T.size = sizeof(T);
    T.dtype = uint32_t(typeNamed(Type));
    T.rank = uint32_t(Dims.size());
    T.dims = Dims.data();
    T.elements = A.size();
    T.bytes = A.nbytes();
    T.data = const_cast<void *>(A.data());
    uint32_t Made = 0;
    if (T.bytes != uint64_t(dtypeBytes(DType(T.dtype), int64_t(T.elements))))
      throw nb::type_error("a constant of a type that bodies do not take");
    accept(get()->constant(B, &T, &Made));
    return Made;
  }

  nb::object type(uint32_t Value) { return typeOf(get()->type(B, Value)); }

private:
  struct Given {
    limosa_operator_attribute Table = {};
    std::string Name;
    std::vector<int64_t> Ints;
    std::vector<double> Floats;
    std::vector<std::string> Texts;
    std::vector<limosa_string> Strings;

    void fill(std::string Key, nb::object Value) {
      Name = std::move(Key);
      Table.size = sizeof(Table);
      Table.name = Name.c_str();
      bool Many =
          nb::isinstance<nb::list>(Value) || nb::isinstance<nb::tuple>(Value);
      nb::list List;
      if (Many)
        List = nb::list(Value);
      else
        List.append(Value);
      bool AllInts = true, AllTexts = true;
      for (nb::handle E : List) {
        AllInts &= bool(PyLong_Check(E.ptr()));
        AllTexts &= bool(PyUnicode_Check(E.ptr()));
      }
      for (nb::handle E : List)
        if (AllInts)
          Ints.push_back(nb::cast<int64_t>(E));
        else if (AllTexts)
          Texts.push_back(nb::cast<std::string>(E));
        else
          Floats.push_back(nb::cast<double>(E));
      for (const std::string &Text : Texts)
        Strings.push_back({Text.data(), Text.size()});
      Table.kind = (AllInts    ? LIMOSA_ATTRIBUTE_INT
                    : AllTexts ? LIMOSA_ATTRIBUTE_STRING
                               : LIMOSA_ATTRIBUTE_FLOAT) +
                   (Many ? LIMOSA_ATTRIBUTE_INTS - LIMOSA_ATTRIBUTE_INT : 0);
      Table.count = List.size();
      Table.ints = Ints.data();
      Table.floats = Floats.data();
      Table.strings = Strings.data();
    }
  };

  const limosa_operator_builder *get() const {
    if (!B)
      throw nb::value_error("the body has been made already");
    return B;
  }
  /// What went wrong is known to the compiler, which says it.
  static void accept(int32_t Status) {
    if (Status)
      throw nb::value_error("the body cannot be made");
  }
  const limosa_operator_builder *B;
};

int32_t build(const limosa_operator_builder *T) {
  return guarded(T, [&] {
    auto &Op = *static_cast<PythonOperator *>(T->user);
    nb::object Handle = nb::cast(new Builder(T), nb::rv_policy::take_ownership);
    struct Ending {
      nb::object &Handle;
      ~Ending() { nb::cast<Builder *>(Handle)->end(); }
    } Ending{Handle};
    auto Values = nb::cast<std::vector<uint32_t>>(
        Op.Body(Handle, typesOf(T), attributesOf(T), T->output_count));
    for (uint32_t O = 0; O < Values.size(); ++O)
      T->set_output(T, O, Values[O]);
  });
}

/// The C description of an operator, which has to live as long.
limosa_operator describe(PythonOperator *P) {
  limosa_operator Op = {};
  Op.size = sizeof(Op);
  Op.domain = P->Domain.c_str();
  Op.name = P->Name.c_str();
  Op.since_version = P->SinceVersion;
  Op.revision = P->Revision.c_str();
  Op.flags = P->Flags;
  Op.body_opset = P->BodyOpset;
  Op.user = P;
  Op.infer = P->Shape.is_none() ? nullptr : infer;
  Op.run = P->Kernel.is_none() ? nullptr : run;
  Op.build = P->Body.is_none() ? nullptr : build;
  P->Arity.size = sizeof(P->Arity);
  Op.arity = &P->Arity;
  return Op;
}

} // namespace

void limosa::python::registerOperators(limosa_context *Context,
                                       nb::list Operators) {
  for (nb::handle Given : Operators) {
    auto *Copy = new PythonOperator(nb::cast<PythonOperator &>(Given));
    limosa_operator Op = describe(Copy);
    Op.release = [](void *User) {
      if (!Py_IsInitialized())
        return; // its objects are gone with the interpreter
      nb::gil_scoped_acquire Lock;
      delete static_cast<PythonOperator *>(User);
    };
    if (int32_t Status = limosa_context_register_operator(Context, &Op)) {
      delete Copy;
      check(Status);
    }
  }
}

void limosa::python::bindOperators(nb::module_ &M) {
  nb::class_<PythonOperator>(M, "Operator")
      .def(
          "__init__",
          [](PythonOperator *Self, std::string Domain, std::string Name,
             int64_t SinceVersion, std::string Revision, uint32_t Flags,
             uint32_t BodyOpset, nb::object Kernel, nb::object Shape,
             nb::object Body, std::pair<uint32_t, uint32_t> Inputs,
             std::pair<uint32_t, uint32_t> Outputs) {
            new (Self) PythonOperator{std::move(Domain),
                                      std::move(Name),
                                      std::move(Revision),
                                      SinceVersion,
                                      Flags,
                                      BodyOpset,
                                      std::move(Kernel),
                                      std::move(Shape),
                                      std::move(Body),
                                      {0, nullptr, Inputs.first, Inputs.second,
                                       Outputs.first, Outputs.second}};
          },
          "domain"_a, "name"_a, "since_version"_a, "revision"_a, "flags"_a,
          "body_opset"_a, "kernel"_a.none(), "shape"_a.none(), "body"_a.none(),
          "inputs"_a, "outputs"_a)
      .def_ro("domain", &PythonOperator::Domain)
      .def_ro("name", &PythonOperator::Name)
      .def_ro("revision", &PythonOperator::Revision);
  nb::class_<Builder>(M, "Builder")
      .def("make", &Builder::make)
      .def("constant", &Builder::constant)
      .def("type", &Builder::type);
  M.attr("OPERATOR_STATEFUL") = LIMOSA_OPERATOR_STATEFUL;
  M.attr("OPERATOR_MANY") = LIMOSA_OPERATOR_MANY;
  M.attr("OPERATOR_PREFER_KERNEL") = LIMOSA_OPERATOR_PREFER_KERNEL;
}
