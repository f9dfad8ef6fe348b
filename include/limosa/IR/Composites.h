//===- Composites.h - The table of composites -------------------*- C++ -*-===//
//
// A composite is a named, versioned function of core ops that a device may
// claim whole (softmax, layer_norm, attention, lstm ...). This table is all
// there is to one: name, version, attribute schema, and a definition written
// with CoreBuilder. Adding a composite is adding a row (lib/IR/Composites/).
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_IR_COMPOSITES_H
#define LIMOSA_IR_COMPOSITES_H

#include "limosa/IR/CoreBuilder.h"

namespace limosa {

/// One attribute of a composite's schema.
struct CompositeAttr {
  enum class Kind : uint8_t { Int, Float, Bool, String, Ints };
  llvm::StringLiteral Name;
  Kind K;
  bool Optional = false;
};

struct CompositeDef {
  llvm::StringLiteral Name; ///< e.g. "softmax"
  int64_t Version;
  llvm::StringLiteral Summary; ///< One sentence with formula, for the docs.
  llvm::ArrayRef<CompositeAttr> Schema;
  /// Writes the definition; returns the results.
  llvm::SmallVector<mlir::Value> (*Define)(CoreBuilder &B,
                                           mlir::ValueRange Inputs,
                                           mlir::DictionaryAttr Config);
};

/// All composites, sorted by name and version.
llvm::ArrayRef<CompositeDef> allComposites();
/// Null if there is none of that name (the newest version if Version is 0).
const CompositeDef *findComposite(llvm::StringRef Name, int64_t Version = 0);

/// Emits a call of composite `Name` at B's insertion point, making (or sharing)
/// the private function that defines it. `Config` must satisfy the schema.
llvm::SmallVector<mlir::Value> buildComposite(CoreBuilder &B,
                                              llvm::StringRef Name,
                                              mlir::ValueRange Inputs,
                                              mlir::DictionaryAttr Config);

} // namespace limosa

#endif // LIMOSA_IR_COMPOSITES_H
