//===- GraphAccess.h - A serialised graph behind the C accessors ----------===//
//
// Wraps a FlatBuffers Graph (runtime/schema/graph.fbs) so that devices read it
// through limosa_graph_api of limosa/device.h. Used by the compiler when it
// offers graphs to devices and by the runtime.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_RUNTIME_GRAPHACCESS_H
#define LIMOSA_RUNTIME_GRAPHACCESS_H

#include "limosa/device.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace limosa {
namespace fb {
struct Graph;
}

namespace runtime {

/// The accessors. A static table; works on any `GraphAccess::handle()`.
const limosa_graph_api *graphApi();

/// A validated graph. Owns no bytes: the buffer holding the FlatBuffers table
/// (and the constants that `External` returns) must outlive it. Immutable, so
/// that any number of threads may read it.
class GraphAccess {
public:
  /// Finds the bytes of constants kept outside the graph: attributes of kind
  /// Data without data, by their string. An empty span means not at hand.
  using ExternalData =
      std::function<std::span<const uint8_t>(std::string_view Name)>;

  /// Wraps `G`, which must lie in a buffer that a flatbuffers::Verifier has
  /// accepted. Checks all indexes and expressions, and that values are defined
  /// once and before their uses. On failure returns null and sets `Error`.
  static std::unique_ptr<GraphAccess>
  create(const fb::Graph &G, std::string &Error, ExternalData External = {});
  /// Verifies that `Bytes` hold a Graph, then as above.
  static std::unique_ptr<GraphAccess> create(std::span<const uint8_t> Bytes,
                                             std::string &Error,
                                             ExternalData External = {});
  ~GraphAccess();
  GraphAccess(const GraphAccess &) = delete;
  GraphAccess &operator=(const GraphAccess &) = delete;

  /// What devices are given; valid as long as this object.
  const limosa_graph *handle() const;

private:
  GraphAccess();
  std::unique_ptr<limosa_graph> Root;
};

} // namespace runtime
} // namespace limosa

#endif // LIMOSA_RUNTIME_GRAPHACCESS_H
