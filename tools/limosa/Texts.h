//===- Texts.h - Arrays of strings in files ---------------------*- C++ -*-===//

#ifndef LIMOSA_TOOLS_TEXTS_H
#define LIMOSA_TOOLS_TEXTS_H

#include "HostTensor.h"

#include <span>

namespace limosa::tool {

using runtime::Status;

/// Whether the `descr` of a .npy file says that its elements are unicode texts
/// ("'<U12'"), and of how many characters.
bool parseTextType(std::string_view Descr, uint64_t &Characters);
/// Elements of a .npy file: each as many characters of four bytes as its type
/// says, without the zeros at its end.
Status parseTexts(std::span<const uint8_t> Bytes,
                  const std::vector<int64_t> &Dims, uint64_t Characters,
                  bool Fortran, const std::string &What, HostTensor &Out);
/// The reverse: type and elements. Bytes that are no UTF-8 are an error.
Status formatTexts(const HostTensor &Value, std::string &Descr,
                   std::vector<uint8_t> &Out);
/// Strings in JSON: one, or lists of them in lists.
Status parseJsonTexts(std::span<const uint8_t> Bytes, const std::string &What,
                      HostTensor &Out);

} // namespace limosa::tool

#endif // LIMOSA_TOOLS_TEXTS_H
