//===- Status.h - Errors as values in the runtime ---------------*- C++ -*-===//

#ifndef LIMOSA_RUNTIME_STATUS_H
#define LIMOSA_RUNTIME_STATUS_H

#include "limosa/device.h"

#include <cstdint>
#include <string>
#include <utility>

namespace limosa::runtime {

/// A LIMOSA_STATUS_* code and, unless it is OK, one line for people that says
/// what is wrong and what to do.
class [[nodiscard]] Status {
public:
  Status() = default;
  Status(int32_t Code, std::string Message)
      : Code(Code), Message(std::move(Message)) {}

  bool ok() const { return Code == LIMOSA_STATUS_OK; }
  /// True for an error: `if (Status S = f()) return S;`.
  explicit operator bool() const { return !ok(); }
  int32_t code() const { return Code; }
  const std::string &message() const { return Message; }

private:
  int32_t Code = LIMOSA_STATUS_OK;
  std::string Message;
};

inline Status invalidArgument(std::string Message) {
  return {LIMOSA_STATUS_INVALID_ARGUMENT, std::move(Message)};
}
inline Status corrupt(std::string Message) {
  return {LIMOSA_STATUS_CORRUPT, std::move(Message)};
}
inline Status outOfMemory(uint64_t Bytes, const std::string &What) {
  return {LIMOSA_STATUS_OUT_OF_MEMORY,
          "out of memory: " + std::to_string(Bytes) + " bytes for " + What};
}

} // namespace limosa::runtime

#endif // LIMOSA_RUNTIME_STATUS_H
