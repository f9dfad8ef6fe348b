//===- ModelObject.h - A compiled model as an object to link ----*- C++ -*-===//
//
// An ELF object for the system linker that holds the bytes of a .lim file in a
// section of its own, executable and aligned so that the kernels run where they
// lie. It defines
//
//   <name>                 the bytes, for limosa_module_load_memory
//   <name>_size            their number, a uint64_t
//   <name>_<kernel>        each kernel, a LimosaKernelFn
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_LIB_DRIVER_MODELOBJECT_H
#define LIMOSA_LIB_DRIVER_MODELOBJECT_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace limosa {

/// `Lim` is a file whose CPU code has the format "elf-x86_64-linked". `Name` is
/// an identifier of C.
llvm::Expected<std::vector<uint8_t>>
makeModelObject(llvm::ArrayRef<uint8_t> Lim, const std::string &Name);

} // namespace limosa

#endif // LIMOSA_LIB_DRIVER_MODELOBJECT_H
