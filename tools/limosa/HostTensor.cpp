//===- HostTensor.cpp - Arrays that the command line reads and writes -----===//

#include "HostTensor.h"

#include <bit>
#include <cmath>
#include <cstring>

using namespace limosa;
using namespace limosa::tool;

namespace {

template <typename T> T load(const uint8_t *Data, int64_t I) {
  T Value;
  std::memcpy(&Value, Data + I * int64_t(sizeof(T)), sizeof(T));
  return Value;
}

template <typename T> void store(uint8_t *Data, int64_t I, T Value) {
  std::memcpy(Data + I * int64_t(sizeof(T)), &Value, sizeof(T));
}

/// The value of a small float: sign, `ExponentBits`, `MantissaBits`.
/// `HasInf`: the largest exponent is infinity and NaN; otherwise only the
/// all-ones pattern is NaN.
double smallFloat(uint32_t Bits, int ExponentBits, int MantissaBits, int Bias,
                  bool HasInf) {
  uint32_t Mantissa = Bits & ((1u << MantissaBits) - 1);
  int Largest = (1 << ExponentBits) - 1;
  int Exponent = int(Bits >> MantissaBits) & Largest;
  double Sign = (Bits >> (ExponentBits + MantissaBits)) & 1 ? -1.0 : 1.0;
  if (Exponent == Largest && HasInf)
    return Mantissa ? std::nan("") : Sign * INFINITY;
  if (Exponent == 0)
    return Sign * std::ldexp(double(Mantissa), 1 - Bias - MantissaBits);
  return Sign * std::ldexp(double(Mantissa | (1u << MantissaBits)),
                           Exponent - Bias - MantissaBits);
}

double nibble(const uint8_t *Data, int64_t I, DType Type) {
  uint8_t Bits = (Data[I / 2] >> (I % 2 * 4)) & 15;
  if (Type == DType::U4)
    return Bits;
  if (Type == DType::I4)
    return Bits < 8 ? Bits : int(Bits) - 16;
  return smallFloat(Bits, 2, 1, 1, false);
}

double fp8(uint8_t Bits, DType Type) {
  switch (Type) {
  case DType::F8E4M3FN:
    return (Bits & 0x7f) == 0x7f ? std::nan("")
                                 : smallFloat(Bits, 4, 3, 7, false);
  case DType::F8E5M2:
    return smallFloat(Bits, 5, 2, 15, true);
  case DType::F8E4M3FNUZ:
    return Bits == 0x80 ? std::nan("") : smallFloat(Bits, 4, 3, 8, false);
  default:
    return Bits == 0x80 ? std::nan("") : smallFloat(Bits, 5, 2, 16, false);
  }
}

uint16_t toHalf(double Value) {
  return std::bit_cast<uint16_t>(static_cast<_Float16>(Value));
}

uint16_t toBFloat(double Value) {
  uint32_t Bits = std::bit_cast<uint32_t>(float(Value));
  if (std::isnan(Value))
    return 0x7fc0;
  return uint16_t((Bits + 0x7fff + ((Bits >> 16) & 1)) >> 16);
}

} // namespace

std::optional<uint64_t> HostTensor::byteSize(DType Type,
                                             const std::vector<int64_t> &Dims) {
  int64_t Elements = 1;
  for (int64_t Dim : Dims)
    if (Dim < 0 || __builtin_mul_overflow(Elements, Dim, &Elements))
      return std::nullopt;
  if (Elements > (int64_t(1) << 58))
    return std::nullopt;
  if (Type == DType::String)
    return uint64_t(Elements) * sizeof(limosa_string);
  return uint64_t(dtypeBytes(Type, Elements));
}

HostTensor::HostTensor(DType Type, std::vector<int64_t> Sizes)
    : Type(Type), Dims(std::move(Sizes)) {
  Bytes = byteSize(Type, Dims).value_or(0);
  uint64_t Rounded = (Bytes + 63) / 64 * 64;
  Memory.reset(
      static_cast<uint8_t *>(std::aligned_alloc(64, Rounded ? Rounded : 64)));
  if (Type != DType::String || !Memory)
    return;
  Texts.resize(Bytes / sizeof(limosa_string));
  std::memset(Memory.get(), 0, Bytes);
}

void HostTensor::setText(int64_t I, std::string Text) {
  std::string &Own = Texts[size_t(I)] = std::move(Text);
  store(Memory.get(), I, limosa_string{Own.data(), Own.size()});
}

runtime::Status HostTensor::make(DType Type, std::vector<int64_t> Dims,
                                 HostTensor &Out) {
  std::string What = describe(Type, Dims);
  auto Size = byteSize(Type, Dims);
  if (!Size)
    return runtime::invalidArgument(What + " is too large");
  Out = HostTensor(Type, std::move(Dims));
  return Out.data() ? runtime::Status() : runtime::outOfMemory(*Size, What);
}

int64_t HostTensor::elements() const {
  int64_t Elements = 1;
  for (int64_t Dim : Dims)
    Elements *= Dim;
  return Elements;
}

double HostTensor::at(int64_t I) const {
  const uint8_t *Data = Memory.get();
  switch (Type) {
  case DType::Bool:
  case DType::U8:
    return Data[I];
  case DType::I8:
    return int8_t(Data[I]);
  case DType::I16:
    return load<int16_t>(Data, I);
  case DType::I32:
    return load<int32_t>(Data, I);
  case DType::I64:
    return double(load<int64_t>(Data, I));
  case DType::U16:
    return load<uint16_t>(Data, I);
  case DType::U32:
    return load<uint32_t>(Data, I);
  case DType::U64:
    return double(load<uint64_t>(Data, I));
  case DType::F16:
    return smallFloat(load<uint16_t>(Data, I), 5, 10, 15, true);
  case DType::BF16:
    return smallFloat(load<uint16_t>(Data, I), 8, 7, 127, true);
  case DType::F32:
    return load<float>(Data, I);
  case DType::F64:
    return load<double>(Data, I);
  case DType::I4:
  case DType::U4:
  case DType::F4E2M1FN:
    return nibble(Data, I, Type);
  case DType::Invalid:
  case DType::String:
    return 0;
  default:
    return fp8(Data[I], Type);
  }
}

void HostTensor::set(int64_t I, double Value) {
  uint8_t *Data = Memory.get();
  switch (Type) {
  case DType::Bool:
    Data[I] = Value != 0;
    return;
  case DType::I8:
  case DType::U8:
    Data[I] = uint8_t(int64_t(Value));
    return;
  case DType::I16:
  case DType::U16:
    return store(Data, I, uint16_t(int64_t(Value)));
  case DType::I32:
  case DType::U32:
    return store(Data, I, uint32_t(int64_t(Value)));
  case DType::I64:
  case DType::U64:
    return store(Data, I, int64_t(Value));
  case DType::F16:
    return store(Data, I, toHalf(Value));
  case DType::BF16:
    return store(Data, I, toBFloat(Value));
  case DType::F32:
    return store(Data, I, float(Value));
  case DType::F64:
    return store(Data, I, Value);
  default:
    return;
  }
}

limosa_tensor HostTensor::view() const {
  limosa_tensor Tensor = {};
  Tensor.dtype = uint32_t(Type);
  Tensor.rank = uint32_t(Dims.size());
  for (size_t I = 0; I < Dims.size() && I < LIMOSA_MAX_RANK; ++I)
    Tensor.dims[I] = Dims[I];
  Tensor.data = Memory.get();
  Tensor.bytes = Bytes;
  return Tensor;
}

std::string tool::describe(DType Type, const std::vector<int64_t> &Dims) {
  std::string Text = std::string(dtypeName(Type)) + "[";
  for (size_t I = 0; I < Dims.size(); ++I)
    Text += (I ? ", " : "") + std::to_string(Dims[I]);
  return Text + "]";
}
