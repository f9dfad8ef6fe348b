//===- GraphCopy.h - A graph read through the accessors, kept as bytes ----===//

#ifndef LIMOSA_REFERENCE_GRAPHCOPY_H
#define LIMOSA_REFERENCE_GRAPHCOPY_H

#include "limosa/device.h"

#include <cstdint>
#include <vector>

namespace limosa::reference {

/// Writes what `Graph` gives through `Api` as a serialised graph of its own
/// (runtime/schema/graph.fbs), constants included.
std::vector<uint8_t> copyGraph(const limosa_graph_api &Api,
                               const limosa_graph *Graph);

} // namespace limosa::reference

#endif // LIMOSA_REFERENCE_GRAPHCOPY_H
