//===- MachineLearning.h - Shared by the operators of ai.onnx.ml ----------===//

#ifndef LIMOSA_LIB_FRONTEND_ONNX_MACHINELEARNING_H
#define LIMOSA_LIB_FRONTEND_ONNX_MACHINELEARNING_H

#include "Node.h"

namespace limosa::onnximport {

/// A constant vector.
Value floatVector(CoreBuilder &B, llvm::ArrayRef<double> V, Type ElementType);
/// The numbers of a tensor attribute; nothing if there is none.
std::optional<SmallVector<double>> tensorNumbers(Node &N, StringRef Name);
/// The labels of a classifier, a vector: `classlabels_strings`, or numbers from
/// the attribute of that name.
FailureOr<Value> classLabels(Node &N, StringRef Numbers);
int64_t countLabels(Value Labels);
/// Scores [samples, classes] as the attribute post_transform says.
FailureOr<Value> postTransform(Node &N, Value Scores, StringRef Transform);
/// What decides between two classes: their scores, or that of the second alone
/// as a probability, as a margin, or as that of a linear model, which
/// post_transform makes a probability.
enum class Binary : uint8_t { Scores, Probability, Margin, Linear };
/// Outputs 0 and 1 of a classifier: labels and scores.
LogicalResult classify(Node &N, Value Scores, Value Labels, Binary Two);

} // namespace limosa::onnximport

#endif // LIMOSA_LIB_FRONTEND_ONNX_MACHINELEARNING_H
