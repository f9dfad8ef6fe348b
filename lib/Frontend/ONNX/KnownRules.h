//===- KnownRules.h - Shared by the rules for known elements ----*- C++ -*-===//

#ifndef LIMOSA_LIB_FRONTEND_ONNX_KNOWNRULES_H
#define LIMOSA_LIB_FRONTEND_ONNX_KNOWNRULES_H

#include "Known.h"

namespace limosa::onnximport::knownrules {

using Number = std::optional<KnownNumber>;

/// The number of elements; -1 if a known tensor cannot have that many.
int64_t numElements(llvm::ArrayRef<int64_t> Shape);
KnownRef make(llvm::ArrayRef<int64_t> Shape,
              llvm::SmallVector<KnownNumber, 4> Elements);

Number add(const KnownNumber &A, const KnownNumber &B);
Number mul(const KnownNumber &A, const KnownNumber &B);

std::optional<llvm::SmallVector<int64_t>>
broadcastShape(llvm::ArrayRef<int64_t> A, llvm::ArrayRef<int64_t> B);
/// Position in a tensor of shape `From` of element `Linear` of shape `To`.
int64_t broadcastIndex(int64_t Linear, llvm::ArrayRef<int64_t> To,
                       llvm::ArrayRef<int64_t> From);

// Rules of KnownElementwise.cpp.
KnownRef elementwise(const KnownQuery &Q);
KnownRef cast(const KnownQuery &Q);
KnownRef clip(const KnownQuery &Q);
KnownRef where(const KnownQuery &Q);

} // namespace limosa::onnximport::knownrules

#endif // LIMOSA_LIB_FRONTEND_ONNX_KNOWNRULES_H
