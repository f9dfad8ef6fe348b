//===- Safetensors.cpp - Files of named tensors ---------------------------===//

#include "Safetensors.h"
#include "Json.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <string_view>
#include <tuple>

using namespace limosa;
using namespace limosa::tool;
using nlohmann::json;
using runtime::Status;

namespace {

constexpr uint64_t LargestHeader = 100'000'000;
constexpr const char *Metadata = "__metadata__";

struct TypeName {
  std::string_view Name;
  DType Type;
};
constexpr TypeName TypeNames[] = {
    {"BOOL", DType::Bool},
    {"I8", DType::I8},
    {"I16", DType::I16},
    {"I32", DType::I32},
    {"I64", DType::I64},
    {"U8", DType::U8},
    {"U16", DType::U16},
    {"U32", DType::U32},
    {"U64", DType::U64},
    {"F16", DType::F16},
    {"BF16", DType::BF16},
    {"F32", DType::F32},
    {"F64", DType::F64},
    {"F8_E4M3", DType::F8E4M3FN},
    {"F8_E5M2", DType::F8E5M2},
    {"F8_E4M3FNUZ", DType::F8E4M3FNUZ},
    {"F8_E5M2FNUZ", DType::F8E5M2FNUZ},
    {"F4", DType::F4E2M1FN},
};

struct Entry {
  std::string Name, TypeText;
  std::vector<int64_t> Dims;
  std::vector<uint64_t> Offsets;
  bool HasShape = false;

  uint64_t begin() const { return Offsets[0]; }
  uint64_t end() const { return Offsets[1]; }
};

/// Takes the header value by value, so that nothing is built that the format
/// does not have, however deep or long the text nests.
class HeaderReader final : public nlohmann::json_sax<json> {
public:
  std::vector<Entry> Entries;
  std::string Error;

  bool key(std::string &Name) override {
    Key = Name;
    if (At == Names && !Seen.insert(Name).second)
      return fail("two tensors are called '" + Name + "'");
    if (At == Tensor && Key != "dtype" && Key != "shape" &&
        Key != "data_offsets")
      return fail("'" + tensor() + "' has the unknown field '" + Key + "'");
    return true;
  }
  bool start_object(size_t) override {
    if (At == Outside)
      return enter(Names);
    if (At != Names)
      return unexpected("an object");
    if (Key == Metadata)
      return enter(Meta);
    Entries.emplace_back().Name = Key;
    return enter(Tensor);
  }
  bool end_object() override { return enter(At == Names ? Done : Names); }
  bool start_array(size_t) override {
    if (At == Tensor && Key == "shape" && !Entries.back().HasShape) {
      Entries.back().HasShape = true;
      return enter(Shape);
    }
    if (At == Tensor && Key == "data_offsets" && Entries.back().Offsets.empty())
      return enter(Offsets);
    return unexpected("a list");
  }
  bool end_array() override { return enter(Tensor); }
  bool string(std::string &Text) override {
    if (At == Meta)
      return true;
    if (At != Tensor || Key != "dtype" || !Entries.back().TypeText.empty())
      return unexpected("a text");
    Entries.back().TypeText = Text;
    return true;
  }
  bool number_unsigned(uint64_t Number) override {
    if (At == Shape && Number <= uint64_t(INT64_MAX)) {
      if (Entries.back().Dims.size() == LIMOSA_MAX_RANK)
        return fail("'" + tensor() + "' has more than " +
                    std::to_string(LIMOSA_MAX_RANK) + " dimensions");
      Entries.back().Dims.push_back(int64_t(Number));
      return true;
    }
    if (At != Offsets || Entries.back().Offsets.size() == 2)
      return unexpected("a number");
    Entries.back().Offsets.push_back(Number);
    return true;
  }
  bool number_integer(int64_t) override { return unexpected("a number"); }
  bool number_float(double, const std::string &) override {
    return unexpected("a number");
  }
  bool boolean(bool) override { return unexpected("a truth value"); }
  bool null() override { return unexpected("null"); }
  bool binary(binary_t &) override { return unexpected("bytes"); }
  bool parse_error(size_t Position, const std::string &,
                   const json::exception &) override {
    return fail("its header is not JSON at byte " +
                std::to_string(8 + Position));
  }

private:
  enum Place { Outside, Names, Meta, Tensor, Shape, Offsets, Done };
  Place At = Outside;
  std::string Key;
  std::set<std::string> Seen;

  const std::string &tensor() const { return Entries.back().Name; }
  bool enter(Place Next) {
    At = Next;
    return true;
  }
  bool fail(std::string Why) {
    Error = std::move(Why);
    return false;
  }
  bool unexpected(const char *What) {
    return fail(std::string(What) + " is where the format has none" +
                (Key.empty() ? "" : ", at '" + Key + "'"));
  }
};

/// Why an entry cannot be, or an empty text. Finds its type.
std::string check(const Entry &E, DType &Type) {
  for (const TypeName &Known : TypeNames)
    if (Known.Name == E.TypeText)
      Type = Known.Type;
  if (Type == DType::Invalid)
    return E.TypeText.empty() ? "has no dtype"
                              : "has elements of type " + E.TypeText +
                                    ", which is not supported";
  if (!E.HasShape || E.Offsets.size() != 2)
    return "has no shape or no data_offsets";
  std::optional<uint64_t> Size = HostTensor::byteSize(Type, E.Dims);
  if (!Size || E.end() < E.begin() || E.end() - E.begin() != *Size)
    return "says another number of bytes than its shape takes";
  return {};
}

} // namespace

Status tool::parseSafetensors(std::span<const uint8_t> Bytes,
                              const std::string &What,
                              std::vector<NamedTensor> &Out) {
  auto Damaged = [&](const std::string &Why) {
    return runtime::corrupt(What + " is not a .safetensors file: " + Why);
  };
  uint64_t Length = 0;
  if (Bytes.size() < sizeof(Length))
    return Damaged("it ends within its header");
  for (unsigned I = 0; I < sizeof(Length); ++I)
    Length |= uint64_t(Bytes[I]) << (8 * I);
  Bytes = Bytes.subspan(sizeof(Length));
  if (Length > LargestHeader || Length > Bytes.size())
    return Damaged("it ends within its header");

  HeaderReader Header;
  if (!json::sax_parse(Bytes.begin(), Bytes.begin() + Length, &Header))
    return Damaged(Header.Error.empty() ? "its header is no object"
                                        : Header.Error);
  Bytes = Bytes.subspan(Length);

  std::sort(Header.Entries.begin(), Header.Entries.end(),
            [](const Entry &A, const Entry &B) {
              return std::tie(A.Offsets, A.Name) < std::tie(B.Offsets, B.Name);
            });
  std::vector<NamedTensor> Tensors;
  uint64_t At = 0;
  for (Entry &E : Header.Entries) {
    DType Type = DType::Invalid;
    if (std::string Why = check(E, Type); !Why.empty())
      return Damaged("tensor '" + E.Name + "' " + Why);
    if (E.begin() != At || E.end() > Bytes.size())
      return Damaged("the bytes of '" + E.Name +
                     "' overlap others, leave a hole or are not there");
    At = E.end();
    NamedTensor &T = Tensors.emplace_back();
    T.Name = std::move(E.Name);
    if (Status S = HostTensor::make(Type, std::move(E.Dims), T.Value))
      return S;
    if (T.Value.bytes())
      std::memcpy(T.Value.data(), Bytes.data() + E.begin(), T.Value.bytes());
  }
  if (At != Bytes.size())
    return Damaged("bytes behind its last tensor belong to none");
  std::move(Tensors.begin(), Tensors.end(), std::back_inserter(Out));
  return {};
}

Status tool::formatSafetensors(const std::vector<NamedTensor> &Tensors,
                               std::vector<uint8_t> &Out) {
  auto Header = nlohmann::ordered_json::object();
  uint64_t At = 0;
  for (const auto &[Name, Value] : Tensors) {
    std::string_view Type;
    for (const TypeName &Known : TypeNames)
      if (Known.Type == Value.type())
        Type = Known.Name;
    if (Type.empty())
      return {LIMOSA_STATUS_UNSUPPORTED,
              "safetensors has no type for " +
                  std::string(dtypeName(Value.type()))};
    if (Header.contains(Name) || Name == Metadata)
      return runtime::invalidArgument("a .safetensors file cannot hold two "
                                      "tensors called '" +
                                      Name + "'");
    Header[Name] = {{"dtype", Type},
                    {"shape", Value.dims()},
                    {"data_offsets", {At, At + Value.bytes()}}};
    At += Value.bytes();
  }
  std::string Text = jsonText(Header, -1);
  Text.resize((Text.size() + 7) / 8 * 8, ' ');
  Out.clear();
  for (unsigned I = 0; I < 8; ++I)
    Out.push_back(uint8_t(uint64_t(Text.size()) >> (8 * I)));
  Out.insert(Out.end(), Text.begin(), Text.end());
  for (const NamedTensor &T : Tensors)
    Out.insert(Out.end(), T.Value.data(), T.Value.data() + T.Value.bytes());
  return {};
}
