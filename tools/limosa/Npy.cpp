//===- Npy.cpp - NumPy's .npy files ---------------------------------------===//

#include "Npy.h"
#include "Texts.h"

#include <cstring>
#include <string_view>

using namespace limosa;
using namespace limosa::tool;
using runtime::invalidArgument;

namespace {

constexpr std::string_view Magic = "\x93NUMPY";

struct DescrName {
  std::string_view Descr;
  DType Type;
};
// What numpy calls the element types ("|" or "<" first: no or little-endian
// byte order). V2 is what ml_dtypes writes for bfloat16.
constexpr DescrName Descrs[] = {
    {"|b1", DType::Bool}, {"|i1", DType::I8},  {"|u1", DType::U8},
    {"<i2", DType::I16},  {"<u2", DType::U16}, {"<i4", DType::I32},
    {"<u4", DType::U32},  {"<i8", DType::I64}, {"<u8", DType::U64},
    {"<f2", DType::F16},  {"<f4", DType::F32}, {"<f8", DType::F64},
    {"<V2", DType::BF16},
};

/// The text behind `'Key':` in the header's dictionary.
std::string_view valueOf(std::string_view Header, std::string_view Key) {
  size_t At = Header.find("'" + std::string(Key) + "'");
  if (At == Header.npos)
    return {};
  At = Header.find(':', At);
  if (At == Header.npos)
    return {};
  At = Header.find_first_not_of(' ', At + 1);
  return At == Header.npos ? std::string_view() : Header.substr(At);
}

bool parseShape(std::string_view Text, std::vector<int64_t> &Dims) {
  if (Text.empty() || Text[0] != '(')
    return false;
  Text.remove_prefix(1);
  while (true) {
    while (!Text.empty() && (Text[0] == ' ' || Text[0] == ','))
      Text.remove_prefix(1);
    if (Text.empty())
      return false;
    if (Text[0] == ')')
      return Dims.size() <= LIMOSA_MAX_RANK;
    int64_t Dim = 0;
    size_t Digits = 0;
    for (; Digits < Text.size() && Text[Digits] >= '0' && Text[Digits] <= '9';
         ++Digits)
      if (__builtin_mul_overflow(Dim, int64_t(10), &Dim) ||
          __builtin_add_overflow(Dim, int64_t(Text[Digits] - '0'), &Dim))
        return false;
    if (!Digits)
      return false;
    Text.remove_prefix(Digits);
    Dims.push_back(Dim);
  }
}

/// Copies column-major bytes to row-major ones.
void fromFortran(const uint8_t *From, HostTensor &To) {
  const auto &Dims = To.dims();
  const int64_t Width = dtypeBytes(To.type(), 1);
  std::vector<int64_t> Index(Dims.size());
  const int64_t Elements = To.elements();
  for (int64_t I = 0; I < Elements; ++I) {
    int64_t At = 0;
    for (size_t D = Dims.size(); D-- > 0;)
      At = At * Dims[D] + Index[D];
    std::memcpy(To.data() + I * Width, From + At * Width, size_t(Width));
    for (size_t D = Dims.size(); D-- > 0;) {
      if (++Index[D] < Dims[D])
        break;
      Index[D] = 0;
    }
  }
}

} // namespace

Status tool::parseNpy(std::span<const uint8_t> Bytes, const std::string &What,
                      HostTensor &Out) {
  auto Damaged = [&](const char *Why) {
    return runtime::corrupt(What + " is not a .npy file: " + Why);
  };
  if (Bytes.size() < 10 ||
      std::memcmp(Bytes.data(), Magic.data(), Magic.size()) != 0)
    return Damaged("it does not begin with \\x93NUMPY");
  const int Major = Bytes[6];
  if (Major < 1 || Major > 3)
    return Damaged("its version is unknown");
  const size_t Start = Major == 1 ? 10 : 12;
  if (Bytes.size() < Start)
    return Damaged("it ends within its header");
  uint64_t Length = Bytes[8] | uint64_t(Bytes[9]) << 8;
  if (Major > 1)
    Length |= uint64_t(Bytes[10]) << 16 | uint64_t(Bytes[11]) << 24;
  if (Length > Bytes.size() - Start)
    return Damaged("it ends within its header");
  std::string_view Header(reinterpret_cast<const char *>(&Bytes[Start]),
                          Length);

  std::string_view Descr = valueOf(Header, "descr");
  DType Type = DType::Invalid;
  if (Descr.size() >= 5)
    for (const DescrName &Known : Descrs)
      if (Descr.substr(1, 3) == Known.Descr && Descr[4] == Descr[0])
        Type = Known.Type;
  uint64_t Characters = 0;
  const bool Strings =
      Type == DType::Invalid && parseTextType(Descr, Characters);
  if (Strings)
    Type = DType::String;
  if (Type == DType::Invalid)
    return {LIMOSA_STATUS_UNSUPPORTED,
            What + " has elements of type " +
                std::string(Descr.substr(0, Descr.find(','))) +
                "; save it as a little-endian bool, integer, float or unicode "
                "array"};
  std::vector<int64_t> Dims;
  if (!parseShape(valueOf(Header, "shape"), Dims))
    return Damaged("its shape cannot be read");
  const bool Fortran = valueOf(Header, "fortran_order").starts_with("True");

  const uint64_t Payload = Bytes.size() - Start - Length;
  if (Strings)
    return parseTexts(Bytes.subspan(Bytes.size() - Payload), Dims, Characters,
                      Fortran, What, Out);
  std::optional<uint64_t> Size = HostTensor::byteSize(Type, Dims);
  if (!Size || *Size > Payload)
    return Damaged("it ends before its last element");
  if (Status S = HostTensor::make(Type, std::move(Dims), Out))
    return S;
  const uint8_t *Data = Bytes.data() + Start + Length;
  if (Fortran && Out.dims().size() > 1)
    fromFortran(Data, Out);
  else if (*Size)
    std::memcpy(Out.data(), Data, *Size);
  return {};
}

Status tool::formatNpy(const HostTensor &Value, std::vector<uint8_t> &Out) {
  if (Value.type() == DType::BF16) {
    HostTensor Wide(DType::F32, Value.dims());
    for (int64_t I = 0, E = Value.elements(); I < E; ++I)
      Wide.set(I, Value.at(I));
    return formatNpy(Wide, Out);
  }
  std::string_view Descr;
  for (const DescrName &Known : Descrs)
    if (Known.Type == Value.type())
      Descr = Known.Descr;
  std::string TextType;
  std::vector<uint8_t> Texts;
  if (Value.type() == DType::String) {
    if (Status S = formatTexts(Value, TextType, Texts))
      return S;
    Descr = TextType;
  }
  if (Descr.empty())
    return {LIMOSA_STATUS_UNSUPPORTED,
            "NumPy has no type for " + std::string(dtypeName(Value.type()))};
  std::string Header = "{'descr': '" + std::string(Descr) +
                       "', 'fortran_order': False, 'shape': (";
  for (int64_t Dim : Value.dims())
    Header += std::to_string(Dim) + ",";
  Header += "), }";
  // The data begins at a multiple of 64.
  Header.append(63 - (Magic.size() + 4 + Header.size()) % 64, ' ');
  Header += '\n';
  Out.assign(Magic.begin(), Magic.end());
  Out.insert(Out.end(),
             {1, 0, uint8_t(Header.size()), uint8_t(Header.size() >> 8)});
  Out.insert(Out.end(), Header.begin(), Header.end());
  if (Value.type() == DType::String)
    Out.insert(Out.end(), Texts.begin(), Texts.end());
  else
    Out.insert(Out.end(), Value.data(), Value.data() + Value.bytes());
  return {};
}
