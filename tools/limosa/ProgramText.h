//===- ProgramText.h - A compiled program as text ---------------*- C++ -*-===//

#ifndef LIMOSA_TOOLS_PROGRAMTEXT_H
#define LIMOSA_TOOLS_PROGRAMTEXT_H

#include "limosa/Schema/program_generated.h"
#include <string>

namespace limosa::tool {

/// The register program of `E` as lines to read: what every buffer is, where
/// it lies, and the steps in order, nested blocks indented. For people and for
/// tests of the planner; nothing reads it back.
std::string programText(const fb::Program &P, const fb::Entry &E);

} // namespace limosa::tool

#endif // LIMOSA_TOOLS_PROGRAMTEXT_H
