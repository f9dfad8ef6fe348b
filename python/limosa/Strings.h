//===- Strings.h - Strings of Python and of Limosa --------------*- C++ -*-===//

#ifndef LIMOSA_PYTHON_STRINGS_H
#define LIMOSA_PYTHON_STRINGS_H

#include "limosa/limosa.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <vector>

namespace limosa::python {

namespace nb = nanobind;

/// Strings of Python as Limosa takes them. The objects keep the bytes.
class StringInput {
public:
  /// `Given` is a shape and a list of str or bytes.
  void fill(limosa_tensor &T, nb::handle Given) {
    auto [Shape, Items] = nb::cast<std::pair<nb::tuple, nb::list>>(Given);
    if (Shape.size() > LIMOSA_MAX_RANK)
      throw nb::value_error("an array has more dimensions than Limosa takes");
    T = {};
    T.dtype = LIMOSA_STRING;
    T.rank = uint32_t(Shape.size());
    for (uint32_t D = 0; D < T.rank; ++D)
      T.dims[D] = nb::cast<int64_t>(Shape[D]);
    for (nb::handle Item : Items)
      Views.push_back(view(Item));
    Views.push_back({}); // so that there is an address
    T.data = Views.data();
  }

private:
  limosa_string view(nb::handle Item) {
    char *Data = nullptr;
    Py_ssize_t Length = 0;
    if (nb::isinstance<nb::str>(Item)) {
      if (const char *Text = PyUnicode_AsUTF8AndSize(Item.ptr(), &Length))
        return {Text, uint64_t(Length)};
      // Bytes that were no UTF-8 when they came.
      PyErr_Clear();
      Kept.push_back(nb::steal(
          PyUnicode_AsEncodedString(Item.ptr(), "utf-8", "surrogateescape")));
      if (!Kept.back().is_valid())
        throw nb::python_error();
      Item = Kept.back();
    }
    if (!PyBytes_Check(Item.ptr()))
      throw nb::type_error("an array of strings holds something else");
    PyBytes_AsStringAndSize(Item.ptr(), &Data, &Length);
    return {Data, uint64_t(Length)};
  }

  std::vector<limosa_string> Views;
  std::vector<nb::object> Kept;
};

/// A shape and a list of str.
inline nb::object shapeAndTexts(const void *Strings, uint32_t Rank,
                                const int64_t *Dims) {
  nb::list Shape, Items;
  int64_t Count = 1;
  for (uint32_t D = 0; D < Rank; ++D) {
    Shape.append(Dims[D]);
    Count *= Dims[D];
  }
  for (int64_t I = 0; I < Count; ++I) {
    const limosa_string &S = static_cast<const limosa_string *>(Strings)[I];
    Items.append(nb::steal(
        PyUnicode_DecodeUTF8(S.data, Py_ssize_t(S.length), "surrogateescape")));
  }
  return nb::make_tuple(nb::tuple(Shape), Items);
}

/// The same of an output that is given back.
inline nb::object takeStrings(limosa_tensor &Output) {
  nb::object Taken = shapeAndTexts(Output.data, Output.rank, Output.dims);
  limosa_tensor_release(&Output);
  return Taken;
}

} // namespace limosa::python

#endif // LIMOSA_PYTHON_STRINGS_H
