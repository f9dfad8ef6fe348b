//===- Claims.h - What devices take -----------------------------*- C++ -*-===//
//
// Offers the program to devices through limosa/device.h, as serialised graphs,
// and marks what they accept. A block is offered whole; a device answers op by
// op. Composites are offered before they are inlined, core ops afterwards.
// Control flow, bindings and constants stay with the host.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_DISPATCH_CLAIMS_H
#define LIMOSA_DISPATCH_CLAIMS_H

#include "limosa/Codegen/Codegen.h"
#include "limosa/Runtime/DeviceCompiler.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"
#include <vector>

namespace limosa {

enum class ClaimStage : uint8_t { Composites, Ops };

/// Offers all blocks of the entries to `Device`. Accepted ops get the attribute
/// `limosa.device` with its name (and `limosa.claimed`, which keeps a composite
/// from being inlined); what another device has is not offered again. Refusals
/// become remarks at the ops. Fails only if the device or the serialisation
/// does.
llvm::Error offerToDevice(mlir::ModuleOp Module,
                          runtime::DeviceCompiler &Device, ClaimStage Stage);

/// Has `Device` compile the kernels outlined for it (attribute `limosa.device`
/// on the function) into one executable. Sets `Bytes`.
llvm::Expected<std::vector<codegen::CompiledKernel>>
compileClaimed(mlir::ModuleOp Module, runtime::DeviceCompiler &Device,
               std::vector<uint8_t> &Bytes);

} // namespace limosa

#endif // LIMOSA_DISPATCH_CLAIMS_H
