//===- OperatorAttributes.h - Attributes as operator.h shows them ---------===//

#ifndef LIMOSA_RUNTIME_OPERATORATTRIBUTES_H
#define LIMOSA_RUNTIME_OPERATORATTRIBUTES_H

#include "limosa/Support/DType.h"
#include "limosa/operator.h"

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace limosa::runtime {

/// What a user can do about an operator that nobody has registered; the end of
/// error messages.
inline constexpr std::string_view HowToRegister =
    "register it with limosa_context_register_operator, --operators "
    "<library>, or limosa.custom_op in Python (docs/custom-operators.md)";

/// A view of a dense row-major tensor. `Dims` and `Data` stay the caller's.
limosa_operator_tensor operatorTensor(DType Type, std::span<const int64_t> Dims,
                                      void *Data);

/// A list of attributes that owns all it refers to.
class OperatorAttributes {
public:
  void addInt(std::string_view Name, int64_t Value);
  void addFloat(std::string_view Name, double Value);
  void addString(std::string_view Name, std::string_view Value);
  void addInts(std::string_view Name, std::vector<int64_t> Values);
  void addFloats(std::string_view Name, std::vector<double> Values);
  void addStrings(std::string_view Name, std::vector<std::string> Values);
  /// `Bytes` are those of a dense tensor, bool as bytes.
  void addTensor(std::string_view Name, DType Type, std::vector<int64_t> Dims,
                 std::span<const uint8_t> Bytes);

  /// By name; valid until something is added.
  std::span<const limosa_operator_attribute *const> list();

private:
  struct Item {
    limosa_operator_attribute Table = {};
    std::string Name;
    std::vector<int64_t> Ints;
    std::vector<double> Floats;
    std::vector<std::string> Texts;
    std::vector<limosa_string> Strings;
    std::vector<int64_t> Dims;
    std::vector<uint64_t> Words; // aligned for every element type
    limosa_operator_tensor Tensor = {};
  };
  Item &add(std::string_view Name, uint32_t Kind);

  std::deque<Item> Items;
  std::vector<const limosa_operator_attribute *> Pointers;
};

} // namespace limosa::runtime

#endif // LIMOSA_RUNTIME_OPERATORATTRIBUTES_H
