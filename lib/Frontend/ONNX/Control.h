//===- Control.h - Shared by If, Loop and Scan ------------------*- C++ -*-===//

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

/// Tensors as values, sequences element by element. Parts tells of each tensor
/// how many there are: of a tensor none, for it is a value itself.
struct FlatTensors {
  static constexpr int64_t IsTensor = -1, IsAbsent = -2;
  SmallVector<Value> Values;
  SmallVector<int64_t> Parts;
};
FailureOr<FlatTensors> flatten(Node &N, llvm::MutableArrayRef<Tensor> Ts);
/// The reverse.
SmallVector<Tensor> unflatten(llvm::ArrayRef<int64_t> Parts, ValueRange Values);

/// What a branch of a draft (an If without results) ends with.
struct BranchYield {
  SmallVector<Type> Types;
  SmallVector<int64_t> Parts;
};
/// Ends the region being built with these tensors.
FailureOr<BranchYield> yieldTensors(Node &N, llvm::MutableArrayRef<Tensor> Ts);
bool ranksDiffer(const BranchYield (&Branches)[2]);
/// Puts an If with results in the place of the draft, which is gone then. Sizes
/// in which the branches differ become symbols.
FailureOr<SmallVector<Tensor>> joinBranches(Node &N, mlir::Operation *Draft,
                                            const BranchYield (&Branches)[2]);

/// The number of rounds of a loop that may be imported round by round.
std::optional<int64_t> fewRounds(Node &N);
LogicalResult unrollLoop(Node &N, int64_t Rounds);
LogicalResult importSequenceMap(Node &N);
LogicalResult importLoop(Node &N);
LogicalResult importScan(Node &N);

} // namespace limosa::onnximport

#endif // LIMOSA_LIB_FRONTEND_ONNX_CONTROL_H
