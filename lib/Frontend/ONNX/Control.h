//===- Control.h - Shared by If, Loop and Scan ----------------------*- C++
//-*-===//

#ifndef LIMOSA_LIB_FRONTEND_ONNX_CONTROL_H
#define LIMOSA_LIB_FRONTEND_ONNX_CONTROL_H

#include "Registry.h"

namespace limosa::onnximport {

/// Values of what a graph gave; failure if some of it could not be imported.
FailureOr<SmallVector<Value>> bodyValues(Node &N,
                                         llvm::MutableArrayRef<Tensor> Ts);
/// A refusal of something inside stands for the node's own.
LogicalResult stopAfterBody(Node &N);

/// `Before`, followed by what a loop appended: Items[j] holds along its first
/// dimension the j-th tensor of each round.
FailureOr<Sequence> appendRounds(Node &N, const Sequence &Before,
                                 llvm::ArrayRef<Value> Items);

LogicalResult importLoop(Node &N);
LogicalResult importScan(Node &N);

} // namespace limosa::onnximport

#endif // LIMOSA_LIB_FRONTEND_ONNX_CONTROL_H
