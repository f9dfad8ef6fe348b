//===- Template.h - Kernel templates and how one is chosen ------*- C++ -*-===//
//
// A template knows how to turn kernels of some form into loops. Each one scores
// a kernel; the highest score emits it. A new template is a pair of functions
// and a line in the `add*Templates` function of its group.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_TEMPLATE_H
#define LIMOSA_CODEGEN_TEMPLATE_H

#include "limosa/Codegen/Codegen.h"
#include "llvm/ADT/SmallVector.h"

namespace limosa::codegen {

class KernelBuilder;

/// What templates look at. Points into the kernel function.
struct KernelAnalysis {
  mlir::func::FuncOp Func;
  /// What the function returns, in order. May be arguments or repeat.
  llvm::SmallVector<mlir::Value> Outputs;
  /// All ops but the return, in program order.
  llvm::SmallVector<mlir::Operation *> Ops;
  /// Those that are not pullable at the cost of an element each (isPullable):
  /// contract, conv, reduce, window, sort, scan, scatter, compact, random_bits.
  llvm::SmallVector<mlir::Operation *> Anchors;
  /// Who decides where there are several ways; null: the estimates.
  Chooser *Decides = nullptr;

  static llvm::Expected<KernelAnalysis> create(mlir::func::FuncOp Func);

  /// The only anchor if there is one and it is an OpT.
  template <typename OpT> OpT onlyAnchor() const {
    return Anchors.size() == 1 ? llvm::dyn_cast<OpT>(Anchors[0]) : OpT();
  }

  /// The index of the way to take in `Name`, out of `Ways`, the first of which
  /// is estimated to be best (see Choices.h). Plans may be made several times
  /// and have to name the same ways each time.
  unsigned choose(llvm::StringRef Name,
                  llvm::ArrayRef<std::string> Ways) const {
    return Decides ? Decides->take(Name, Ways) : 0;
  }
  /// The best of some candidates.
  template <typename T> T choose(llvm::StringRef Name, Candidates<T> Of) const {
    return Of.take(
        [&](llvm::ArrayRef<std::string> Ways) { return choose(Name, Ways); });
  }
  /// `Estimate`, or its half or double as long as that is within [Least, Most].
  int64_t chooseNumber(llvm::StringRef Name, int64_t Estimate, int64_t Least,
                       int64_t Most) const;
};

struct KernelTemplate {
  llvm::StringLiteral Name;
  /// How well the template suits; nullopt when it cannot emit the kernel.
  /// Generic scores 0, Pointwise 10, special forms more. Those above 0 are ways
  /// of the choice "template".
  std::optional<int> (*Match)(const KernelAnalysis &Kernel,
                              const TargetOptions &Options);
  /// Emits the body and fills in grid, scratch, packs and remarks through the
  /// builder. An error fails the compile: what cannot be emitted must not
  /// match.
  llvm::Error (*Emit)(KernelBuilder &KB, const KernelAnalysis &Kernel);
};

class TemplateRegistry {
public:
  void add(const KernelTemplate &T) { Templates.push_back(T); }
  /// The best match; null when none does.
  const KernelTemplate *choose(const KernelAnalysis &Kernel,
                               const TargetOptions &Options) const;
  /// All templates of Limosa.
  static TemplateRegistry all();

private:
  llvm::SmallVector<KernelTemplate> Templates;
};

/// Pointwise, window, reduction chain, generic (Templates/Loop*.cpp).
void addLoopTemplates(TemplateRegistry &Registry);
/// Contractions and convolutions (Templates/Products.cpp).
void addProductTemplates(TemplateRegistry &Registry);
/// Sort, scan, scatter, compact, random bits (Templates/Irregular.cpp).
void addIrregularTemplates(TemplateRegistry &Registry);

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_TEMPLATE_H
