//===- Products.h - Templates built on the micro-kernel ---------*- C++ -*-===//

#ifndef LIMOSA_CODEGEN_TEMPLATES_PRODUCTS_H
#define LIMOSA_CODEGEN_TEMPLATES_PRODUCTS_H

#include "limosa/Codegen/Template.h"

namespace limosa::codegen {

std::optional<int> matchContract(const KernelAnalysis &Kernel,
                                 const TargetOptions &Options);
llvm::Error emitContract(KernelBuilder &KB, const KernelAnalysis &Kernel);

std::optional<int> matchConv(const KernelAnalysis &Kernel,
                             const TargetOptions &Options);
llvm::Error emitConv(KernelBuilder &KB, const KernelAnalysis &Kernel);

std::optional<int> matchWinograd(const KernelAnalysis &Kernel,
                                 const TargetOptions &Options);
llvm::Error emitWinograd(KernelBuilder &KB, const KernelAnalysis &Kernel);

std::optional<int> matchDepthwise(const KernelAnalysis &Kernel,
                                  const TargetOptions &Options);
llvm::Error emitDepthwise(KernelBuilder &KB, const KernelAnalysis &Kernel);

std::optional<int> matchExpandDepthwise(const KernelAnalysis &Kernel,
                                        const TargetOptions &Options);
llvm::Error emitExpandDepthwise(KernelBuilder &KB,
                                const KernelAnalysis &Kernel);

std::optional<int> matchAttention(const KernelAnalysis &Kernel,
                                  const TargetOptions &Options);
llvm::Error emitAttention(KernelBuilder &KB, const KernelAnalysis &Kernel);

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_TEMPLATES_PRODUCTS_H
