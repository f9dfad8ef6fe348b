//===- Status.h - Outcome of an evaluation ----------------------*- C++ -*-===//

#ifndef LIMOSA_REFERENCE_STATUS_H
#define LIMOSA_REFERENCE_STATUS_H

#include "limosa/device.h"

#include <cstdint>
#include <string>
#include <utility>

namespace limosa::reference {

/// LIMOSA_STATUS_OK, or another LIMOSA_STATUS_* value with one line that names
/// the op, where it comes from, and what is wrong.
struct [[nodiscard]] Status {
  int32_t Code = LIMOSA_STATUS_OK;
  std::string Message;

  Status() = default;
  Status(int32_t Code, std::string Message)
      : Code(Code), Message(std::move(Message)) {}
  bool ok() const { return Code == LIMOSA_STATUS_OK; }
};

} // namespace limosa::reference

/// Returns the status of `EXPR` from the enclosing function unless it is OK.
#define LIMOSA_TRY(EXPR)                                                       \
  do {                                                                         \
    if (::limosa::reference::Status TryStatus = (EXPR); !TryStatus.ok())       \
      return TryStatus;                                                        \
  } while (false)

#endif // LIMOSA_REFERENCE_STATUS_H
