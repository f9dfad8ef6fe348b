//===- OperatorAttributes.cpp - Attributes as operator.h shows them -------===//

#include "limosa/Runtime/OperatorAttributes.h"

#include <algorithm>
#include <cstring>

using namespace limosa;
using namespace limosa::runtime;

limosa_operator_tensor
limosa::runtime::operatorTensor(DType Type, std::span<const int64_t> Dims,
                                void *Data) {
  limosa_operator_tensor T = {};
  T.size = sizeof(T);
  T.dtype = uint32_t(Type);
  T.rank = uint32_t(Dims.size());
  T.dims = Dims.data();
  T.elements = 1;
  for (int64_t D : Dims)
    T.elements *= uint64_t(D);
  T.bytes = uint64_t(dtypeBytes(Type, int64_t(T.elements)));
  T.data = Data;
  return T;
}

OperatorAttributes::Item &OperatorAttributes::add(std::string_view Name,
                                                  uint32_t Kind) {
  Item &New = Items.emplace_back();
  New.Name = Name;
  New.Table.size = sizeof(New.Table);
  New.Table.name = New.Name.c_str();
  New.Table.kind = Kind;
  New.Table.count = 1;
  return New;
}

void OperatorAttributes::addInt(std::string_view Name, int64_t Value) {
  addInts(Name, {Value});
  Items.back().Table.kind = LIMOSA_ATTRIBUTE_INT;
}

void OperatorAttributes::addFloat(std::string_view Name, double Value) {
  addFloats(Name, {Value});
  Items.back().Table.kind = LIMOSA_ATTRIBUTE_FLOAT;
}

void OperatorAttributes::addString(std::string_view Name,
                                   std::string_view Value) {
  addStrings(Name, {std::string(Value)});
  Items.back().Table.kind = LIMOSA_ATTRIBUTE_STRING;
}

void OperatorAttributes::addInts(std::string_view Name,
                                 std::vector<int64_t> Values) {
  Item &New = add(Name, LIMOSA_ATTRIBUTE_INTS);
  New.Ints = std::move(Values);
  New.Table.ints = New.Ints.data();
  New.Table.count = New.Ints.size();
}

void OperatorAttributes::addFloats(std::string_view Name,
                                   std::vector<double> Values) {
  Item &New = add(Name, LIMOSA_ATTRIBUTE_FLOATS);
  New.Floats = std::move(Values);
  New.Table.floats = New.Floats.data();
  New.Table.count = New.Floats.size();
}

void OperatorAttributes::addStrings(std::string_view Name,
                                    std::vector<std::string> Values) {
  Item &New = add(Name, LIMOSA_ATTRIBUTE_STRINGS);
  New.Texts = std::move(Values);
  for (const std::string &Text : New.Texts)
    New.Strings.push_back({Text.c_str(), Text.size()});
  New.Table.strings = New.Strings.data();
  New.Table.count = New.Strings.size();
}

void OperatorAttributes::addTensor(std::string_view Name, DType Type,
                                   std::vector<int64_t> Dims,
                                   std::span<const uint8_t> Bytes) {
  Item &New = add(Name, LIMOSA_ATTRIBUTE_TENSOR);
  New.Dims = std::move(Dims);
  New.Words.resize(Bytes.size() / sizeof(uint64_t) + 1);
  std::copy(Bytes.begin(), Bytes.end(),
            reinterpret_cast<uint8_t *>(New.Words.data()));
  New.Tensor = operatorTensor(Type, New.Dims, New.Words.data());
  New.Table.tensor = &New.Tensor;
}

std::span<const limosa_operator_attribute *const> OperatorAttributes::list() {
  Pointers.clear();
  for (const Item &I : Items)
    Pointers.push_back(&I.Table);
  std::sort(Pointers.begin(), Pointers.end(), [](const auto *A, const auto *B) {
    return std::strcmp(A->name, B->name) < 0;
  });
  return Pointers;
}
