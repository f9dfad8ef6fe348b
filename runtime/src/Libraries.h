//===- Libraries.h - Finding Limosa's own libraries -------------*- C++ -*-===//

#ifndef LIMOSA_RUNTIME_SRC_LIBRARIES_H
#define LIMOSA_RUNTIME_SRC_LIBRARIES_H

#include <string>

namespace limosa::runtime {

/// Where library `Name` is: named by the environment variable `Variable`, next
/// to the library or program this code is in, or the system's.
std::string libraryPath(const char *Variable, const std::string &Name);

/// Size and time of a file: changes when it is replaced.
std::string fileIdentity(const std::string &Path);

} // namespace limosa::runtime

#endif // LIMOSA_RUNTIME_SRC_LIBRARIES_H
