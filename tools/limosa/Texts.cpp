//===- Texts.cpp - Arrays of strings in files -----------------------------===//

#include "Texts.h"
#include "limosa/Support/Utf8.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

using namespace limosa;
using namespace limosa::tool;

//===----------------------------------------------------------------------===//
// NumPy
//===----------------------------------------------------------------------===//

bool tool::parseTextType(std::string_view Descr, uint64_t &Characters) {
  if (!Descr.starts_with("'<U") && !Descr.starts_with("\"<U"))
    return false;
  Descr.remove_prefix(3);
  size_t Digits = 0;
  for (; Digits < std::min<size_t>(Descr.size(), 9) && Descr[Digits] >= '0' &&
         Descr[Digits] <= '9';
       ++Digits)
    Characters = Characters * 10 + uint64_t(Descr[Digits] - '0');
  return Digits > 0;
}

Status tool::parseTexts(std::span<const uint8_t> Bytes,
                        const std::vector<int64_t> &Dims, uint64_t Characters,
                        bool Fortran, const std::string &What,
                        HostTensor &Out) {
  auto Damaged = [&](const char *Why) {
    return runtime::corrupt(What + " is not a .npy file: " + Why);
  };
  auto Size = HostTensor::byteSize(DType::U8, Dims);
  if (!Size)
    return Damaged("its shape is too large");
  // Empty texts have no bytes that would bound their number.
  constexpr uint64_t MostEmpty = 1 << 20;
  if (Characters ? *Size > Bytes.size() / 4 / Characters : *Size > MostEmpty)
    return Damaged("it ends before its last element");
  if (Status S = HostTensor::make(DType::String, Dims, Out))
    return S;
  std::vector<int64_t> Index(Dims.size());
  for (uint64_t I = 0; I < *Size; ++I) {
    uint64_t At = I;
    if (Fortran) {
      At = 0;
      for (size_t D = Dims.size(); D-- > 0;)
        At = At * uint64_t(Dims[D]) + uint64_t(Index[D]);
      for (size_t D = Dims.size(); D-- > 0;) {
        if (++Index[D] < Dims[D])
          break;
        Index[D] = 0;
      }
    }
    std::string Text;
    size_t Zeros = 0;
    for (uint64_t C = 0; C < Characters; ++C) {
      uint32_t Character;
      std::memcpy(&Character, &Bytes[(At * Characters + C) * 4], 4);
      if (Character > 0x10ffff)
        return Damaged("it has a character that does not exist");
      if (!Character) {
        ++Zeros;
        continue;
      }
      Text.append(std::exchange(Zeros, 0), '\0');
      appendUtf8(Character, Text);
    }
    Out.setText(int64_t(I), std::move(Text));
  }
  return {};
}

Status tool::formatTexts(const HostTensor &Value, std::string &Descr,
                         std::vector<uint8_t> &Out) {
  std::vector<std::vector<uint32_t>> Texts(size_t(Value.elements()));
  size_t Longest = 0;
  for (size_t I = 0; I < Texts.size(); ++I) {
    std::string_view Text = Value.text(int64_t(I));
    for (size_t At = 0; At < Text.size();) {
      auto C = nextUtf8(Text, At);
      if (!C)
        return {LIMOSA_STATUS_UNSUPPORTED,
                "NumPy has no type for strings that are no UTF-8"};
      Texts[I].push_back(*C);
    }
    Longest = std::max(Longest, Texts[I].size());
  }
  Descr = "<U" + std::to_string(Longest);
  for (std::vector<uint32_t> &Text : Texts) {
    Text.resize(Longest);
    auto *Bytes = reinterpret_cast<const uint8_t *>(Text.data());
    Out.insert(Out.end(), Bytes, Bytes + Longest * 4);
  }
  return {};
}

//===----------------------------------------------------------------------===//
// JSON
//===----------------------------------------------------------------------===//

/// Adds the strings below `Value`; false if lists differ in length or depth.
static bool collect(const nlohmann::json &Value, size_t Depth,
                    std::vector<int64_t> &Dims, size_t &Rank,
                    std::vector<std::string> &Texts) {
  if (Value.is_string()) {
    Texts.push_back(Value.get<std::string>());
    if (Rank == SIZE_MAX)
      Rank = Depth;
    return Depth == Rank;
  }
  if (!Value.is_array() || Depth >= LIMOSA_MAX_RANK)
    return false;
  if (Dims.size() == Depth && Rank == SIZE_MAX)
    Dims.push_back(int64_t(Value.size()));
  if (Depth >= Dims.size() || Dims[Depth] != int64_t(Value.size()))
    return false;
  for (const nlohmann::json &Item : Value)
    if (!collect(Item, Depth + 1, Dims, Rank, Texts))
      return false;
  return true;
}

Status tool::parseJsonTexts(std::span<const uint8_t> Bytes,
                            const std::string &What, HostTensor &Out) {
  auto Json = nlohmann::json::parse(Bytes.begin(), Bytes.end(), nullptr,
                                    /*allow_exceptions=*/false);
  std::vector<int64_t> Dims;
  std::vector<std::string> Texts;
  size_t Rank = SIZE_MAX;
  if (Json.is_discarded() || !collect(Json, 0, Dims, Rank, Texts))
    return runtime::corrupt(What + " holds no string and no lists of strings "
                                   "of one shape");
  if (Status S = HostTensor::make(DType::String, std::move(Dims), Out))
    return S;
  if (Out.elements() != int64_t(Texts.size()))
    return runtime::corrupt(What + " holds lists that differ in length");
  for (size_t I = 0; I < Texts.size(); ++I)
    Out.setText(int64_t(I), std::move(Texts[I]));
  return {};
}
