//===- HostTensor.h - Arrays that the command line reads and writes -------===//

#ifndef LIMOSA_TOOLS_HOSTTENSOR_H
#define LIMOSA_TOOLS_HOSTTENSOR_H

#include "limosa/Runtime/Status.h"
#include "limosa/Support/DType.h"
#include "limosa/limosa.h"

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace limosa::tool {

/// A dense row-major array that owns its memory, aligned to 64 bytes.
class HostTensor {
public:
  HostTensor() = default;
  /// Uninitialised, for a shape of which an array exists already.
  HostTensor(DType Type, std::vector<int64_t> Dims);
  /// The same for a shape that a file or a user gave: an error if it is too
  /// large.
  static runtime::Status make(DType Type, std::vector<int64_t> Dims,
                              HostTensor &Out);

  DType type() const { return Type; }
  const std::vector<int64_t> &dims() const { return Dims; }
  int64_t elements() const;
  uint64_t bytes() const { return Bytes; }
  uint8_t *data() { return Memory.get(); }
  const uint8_t *data() const { return Memory.get(); }

  /// Element `I` of an array of strings.
  std::string_view text(int64_t I) const { return Texts[size_t(I)]; }
  void setText(int64_t I, std::string Text);

  /// Element `I` as a double, for comparison and printing.
  double at(int64_t I) const;
  /// Stores `Value`, converted, as element `I`. Not for 4-bit and fp8 types,
  /// nor for strings.
  void set(int64_t I, double Value);

  /// A view for limosa_run; valid as long as this array.
  limosa_tensor view() const;

  /// Bytes that an array takes, or nullopt if a size is negative or the total
  /// overflows.
  static std::optional<uint64_t> byteSize(DType Type,
                                          const std::vector<int64_t> &Dims);

private:
  struct Free {
    void operator()(uint8_t *P) const { std::free(P); }
  };
  DType Type = DType::Invalid;
  std::vector<int64_t> Dims;
  uint64_t Bytes = 0;
  std::unique_ptr<uint8_t, Free> Memory;
  /// Of strings, whose memory holds a limosa_string for each.
  std::vector<std::string> Texts;
};

struct NamedTensor {
  std::string Name;
  HostTensor Value;
};

/// "f32[2, 3]", for messages.
std::string describe(DType Type, const std::vector<int64_t> &Dims);

} // namespace limosa::tool

#endif // LIMOSA_TOOLS_HOSTTENSOR_H
