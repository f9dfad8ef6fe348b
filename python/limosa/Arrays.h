//===- Arrays.h - Element types, arrays and errors in Python ----*- C++ -*-===//

#ifndef LIMOSA_PYTHON_ARRAYS_H
#define LIMOSA_PYTHON_ARRAYS_H

#include "limosa/Support/DType.h"
#include "limosa/limosa.h"

#include <algorithm>
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <string>

namespace limosa::python {

namespace nb = nanobind;

/// Raises the Python exception for a status: FileNotFoundError, ValueError,
/// NotImplementedError, MemoryError, or limosa.Error.
[[noreturn]] inline void raise(int32_t Status, const std::string &Message) {
  switch (Status) {
  case LIMOSA_STATUS_INVALID_ARGUMENT:
    throw nb::value_error(Message.c_str());
  case LIMOSA_STATUS_NOT_FOUND:
    PyErr_SetString(PyExc_FileNotFoundError, Message.c_str());
    break;
  case LIMOSA_STATUS_UNSUPPORTED:
    PyErr_SetString(PyExc_NotImplementedError, Message.c_str());
    break;
  case LIMOSA_STATUS_OUT_OF_MEMORY:
    PyErr_SetString(PyExc_MemoryError, Message.c_str());
    break;
  default:
    nb::object Error = nb::module_::import_("limosa._limosa").attr("Error");
    PyErr_SetString(Error.ptr(), Message.c_str());
  }
  throw nb::python_error();
}

inline void check(int32_t Status) {
  if (Status)
    raise(Status, limosa_last_error());
}

struct TypeName {
  DType Type;
  const char *Name; ///< NumPy's, or ml_dtypes'.
  nb::dlpack::dtype_code Code;
};
inline constexpr TypeName TypeNames[] = {
    {DType::Bool, "bool", nb::dlpack::dtype_code::Bool},
    {DType::I8, "int8", nb::dlpack::dtype_code::Int},
    {DType::I16, "int16", nb::dlpack::dtype_code::Int},
    {DType::I32, "int32", nb::dlpack::dtype_code::Int},
    {DType::I64, "int64", nb::dlpack::dtype_code::Int},
    {DType::U8, "uint8", nb::dlpack::dtype_code::UInt},
    {DType::U16, "uint16", nb::dlpack::dtype_code::UInt},
    {DType::U32, "uint32", nb::dlpack::dtype_code::UInt},
    {DType::U64, "uint64", nb::dlpack::dtype_code::UInt},
    {DType::F16, "float16", nb::dlpack::dtype_code::Float},
    {DType::BF16, "bfloat16", nb::dlpack::dtype_code::Bfloat},
    {DType::F32, "float32", nb::dlpack::dtype_code::Float},
    {DType::F64, "float64", nb::dlpack::dtype_code::Float},
    {DType::F8E4M3FN, "float8_e4m3fn", nb::dlpack::dtype_code::Float8_E4M3FN},
    {DType::F8E5M2, "float8_e5m2", nb::dlpack::dtype_code::Float8_E5M2},
    {DType::F8E4M3FNUZ, "float8_e4m3fnuz",
     nb::dlpack::dtype_code::Float8_E4M3FNUZ},
    {DType::F8E5M2FNUZ, "float8_e5m2fnuz",
     nb::dlpack::dtype_code::Float8_E5M2FNUZ},
    {DType::I4, "int4", nb::dlpack::dtype_code::Int},
    {DType::U4, "uint4", nb::dlpack::dtype_code::UInt},
    {DType::F4E2M1FN, "float4_e2m1fn", nb::dlpack::dtype_code::Float4_E2M1FN},
};

/// Types whose elements share bytes: a byte each in NumPy, packed in Limosa.
inline bool isPacked(DType Type) { return dtypeBits(Type) < 8; }

/// Elements from a byte each to their packed form, low bits first, or back.
inline void packElements(const uint8_t *From, size_t Count, unsigned Bits,
                         uint8_t *To) {
  const unsigned PerByte = 8 / Bits, Mask = (1u << Bits) - 1;
  std::fill_n(To, (Count + PerByte - 1) / PerByte, 0);
  for (size_t I = 0; I < Count; ++I)
    To[I / PerByte] |= uint8_t((From[I] & Mask) << (I % PerByte * Bits));
}
inline void unpackElements(const uint8_t *From, size_t Count, unsigned Bits,
                           uint8_t *To) {
  const unsigned PerByte = 8 / Bits, Mask = (1u << Bits) - 1;
  for (size_t I = 0; I < Count; ++I)
    To[I] = From[I / PerByte] >> (I % PerByte * Bits) & Mask;
}

inline const TypeName *nameOf(DType Type) {
  for (const TypeName &T : TypeNames)
    if (T.Type == Type)
      return &T;
  return nullptr;
}

inline std::string pythonName(DType Type) {
  const TypeName *T = nameOf(Type);
  return T ? T->Name : std::string(dtypeName(Type));
}

inline DType fromDlpack(nb::dlpack::dtype D) {
  for (const TypeName &T : TypeNames)
    if (D.lanes == 1 && D.code == uint8_t(T.Code) &&
        D.bits == dtypeBits(T.Type))
      return T.Type;
  return DType::Invalid;
}

/// Read-only arrays as they come.
using GivenArray = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

/// The DLPack type of arrays of a type; unsigned integers for types that NumPy
/// has no name for.
inline nb::dlpack::dtype numpyType(DType Type) {
  const TypeName *Name = nameOf(Type);
  bool Plain = Name && (uint8_t(Name->Code) <= 2 ||
                        Name->Code == nb::dlpack::dtype_code::Bool);
  return {uint8_t(Plain ? Name->Code : nb::dlpack::dtype_code::UInt),
          uint8_t(std::max(8u, dtypeBits(Type))), 1};
}

} // namespace limosa::python

#endif // LIMOSA_PYTHON_ARRAYS_H
