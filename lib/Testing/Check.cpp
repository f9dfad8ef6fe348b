//===- Check.cpp - Random graphs against the interpreter ------------------===//

#include "limosa/Testing/Check.h"

#include "limosa/Driver/Driver.h"
#include "limosa/IR/Serialize.h"
#include "limosa/Reference/Interpreter.h"
#include "limosa/limosa.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <cstring>

using namespace mlir;
using namespace limosa;
using namespace limosa::testing;
using reference::Status;
using reference::Tensor;
using Tensors = std::vector<Tensor>;

Status limosa::testing::evaluateModule(ModuleOp Module, Tensors Inputs,
                                       Tensors &Outputs) {
  auto Bytes = serializeGraph(Module.lookupSymbol<func::FuncOp>("main"));
  if (!Bytes)
    return Status(LIMOSA_STATUS_INVALID_ARGUMENT,
                  llvm::toString(Bytes.takeError()));
  return reference::evaluate(*flatbuffers::GetRoot<fb::Graph>(Bytes->data()),
                             std::move(Inputs), Outputs);
}

std::string limosa::testing::compareTensors(const Tensor &Expected,
                                            const Tensor &Actual,
                                            double Tolerance) {
  if (Expected.dtype() != Actual.dtype())
    return "the dtype differs";
  if (Expected.dims() != Actual.dims())
    return "the shape differs";
  int64_t Wrong = 0, First = -1;
  double Worst = 0;
  for (int64_t I = 0; I < Expected.elements(); ++I) {
    int64_t Size = reference::elementBytes(Expected.dtype());
    if (!std::memcmp(Expected.data() + I * Size, Actual.data() + I * Size,
                     size_t(Size)))
      continue;
    double E = reference::elementValue(Expected, I),
           A = reference::elementValue(Actual, I);
    if (isFloat(Expected.dtype()) &&
        (E == A || (std::isnan(E) && std::isnan(A)) ||
         std::abs(E - A) <= Tolerance))
      continue;
    if (First < 0)
      First = I;
    ++Wrong;
    Worst = std::max(Worst, std::isnan(A - E) ? INFINITY : std::abs(A - E));
  }
  if (Wrong == 0)
    return {};
  return llvm::formatv("{0} of {1} elements differ by up to {2} (allowed {3}), "
                       "the first at {4}: {5} instead of {6}",
                       Wrong, Expected.elements(), Worst, Tolerance, First,
                       reference::elementValue(Actual, First),
                       reference::elementValue(Expected, First));
}

namespace {

std::string sizesText(const std::map<std::string, int64_t> &Sizes) {
  std::string Text;
  for (const auto &[Name, Size] : Sizes)
    Text +=
        (Text.empty() ? " with " : ", ") + Name + " = " + std::to_string(Size);
  return Text;
}

class Checker {
public:
  Checker(const RandomGraph &G, const CheckOptions &Options)
      : G(G), Options(Options) {}

  std::optional<Failure> run() {
    for (size_t R = 0; R < G.Inputs.size(); ++R) {
      Tensors Outputs;
      Status S = evaluateModule(G.Module.get(), G.Inputs[R], Outputs);
      if (!S.ok())
        return Failure{"reference", S.Message + sizesText(G.Sizes[R])};
      Expected.push_back(std::move(Outputs));
    }
    if (auto F = checkSimplified())
      return F;
    return Options.Compile ? checkCompiled() : std::nullopt;
  }

private:
  std::optional<Failure> compare(const char *Kind, size_t Run,
                                 const Tensors &Actual) {
    for (size_t I = 0; I < Expected[Run].size(); ++I) {
      std::string Why =
          compareTensors(Expected[Run][I], Actual[I], G.Tolerances[I]);
      if (!Why.empty())
        return Failure{Kind, "output " + std::to_string(I) +
                                 sizesText(G.Sizes[Run]) + ": " + Why};
    }
    return std::nullopt;
  }

  /// Folds, canonicalisation and the serialised form keep the meaning.
  std::optional<Failure> checkSimplified() {
    OwningOpRef<ModuleOp> Copy = G.Module.get().clone();
    PassManager Passes(Copy->getContext());
    Passes.addPass(createCanonicalizerPass());
    Passes.addPass(createCSEPass());
    if (failed(Passes.run(*Copy)))
      return Failure{"simplify", "canonicalisation failed"};
    auto Bytes = serializeGraph(Copy->lookupSymbol<func::FuncOp>("main"));
    if (!Bytes)
      return Failure{"serialise", llvm::toString(Bytes.takeError())};
    auto Read = deserializeGraph(*Copy->getContext(), *Bytes);
    if (!Read)
      return Failure{"serialise", llvm::toString(Read.takeError())};
    for (size_t R = 0; R < G.Inputs.size(); ++R) {
      Tensors Outputs;
      Status S = evaluateModule(**Read, G.Inputs[R], Outputs);
      if (!S.ok())
        return Failure{"simplify", S.Message + sizesText(G.Sizes[R])};
      if (auto F = compare("simplify", R, Outputs))
        return F;
    }
    return std::nullopt;
  }

  std::optional<Failure> checkCompiled() {
    CompileOptions Compile;
    Compile.Isa = Options.Isa;
    Compile.Threads = Options.Threads;
    Compile.CompileThreads = 1;
    Compile.Devices = {Options.Device};
    Compile.Plugins = Options.Plugins;
    OwningOpRef<ModuleOp> Copy = G.Module.get().clone();
    auto Bytes = compileModule(*Copy, Compile);
    if (!Bytes)
      return Failure{"compile", llvm::toString(Bytes.takeError())};
    // The runtime wants the file's alignment.
    std::unique_ptr<uint8_t, decltype(&std::free)> Aligned(
        static_cast<uint8_t *>(
            std::aligned_alloc(64, (Bytes->size() + 63) / 64 * 64)),
        std::free);
    std::memcpy(Aligned.get(), Bytes->data(), Bytes->size());
    limosa_context_options ContextOptions = {};
    ContextOptions.size = sizeof(ContextOptions);
    ContextOptions.threads = Options.Threads;
    limosa_context *Context = nullptr;
    limosa_module *Module = nullptr;
    limosa_instance *Instance = nullptr;
    bool Ok = limosa_context_create(&ContextOptions, &Context) == 0;
    for (const std::string &Plugin : Options.Plugins)
      Ok = Ok && limosa_context_load_plugin(Context, Plugin.c_str()) == 0;
    Ok = Ok &&
         limosa_module_load_memory(Context, Aligned.get(), Bytes->size(),
                                   &Module) == 0 &&
         limosa_instance_create(Module, &Instance) == 0;
    std::optional<Failure> Result;
    if (!Ok)
      Result = Failure{"load", limosa_last_error()};
    for (size_t R = 0; !Result && R < G.Inputs.size(); ++R)
      Result = runCompiled(Instance, R);
    limosa_instance_destroy(Instance);
    limosa_module_destroy(Module);
    limosa_context_destroy(Context);
    return Result;
  }

  std::optional<Failure> runCompiled(limosa_instance *Instance, size_t R) {
    std::vector<limosa_tensor> In, Out(Expected[R].size());
    std::vector<Tensor> Inputs = G.Inputs[R];
    for (Tensor &T : Inputs) {
      limosa_tensor V = {};
      V.dtype = uint32_t(T.dtype());
      V.rank = uint32_t(T.rank());
      std::copy(T.dims().begin(), T.dims().end(), V.dims);
      V.data = T.data();
      In.push_back(V);
    }
    if (limosa_run(Instance, 0, In.data(), uint32_t(In.size()), Out.data(),
                   uint32_t(Out.size())))
      return Failure{"run", limosa_last_error() + sizesText(G.Sizes[R])};
    Tensors Actual;
    for (limosa_tensor &V : Out) {
      Actual.push_back(Tensor::fromPacked(
          DType(V.dtype), reference::Shape(V.dims, V.dims + V.rank), V.data));
      limosa_tensor_release(&V);
    }
    return compare("mismatch", R, Actual);
  }

  const RandomGraph &G;
  const CheckOptions &Options;
  std::vector<Tensors> Expected; // by run
};

} // namespace

std::optional<Failure>
limosa::testing::checkGraph(const RandomGraph &G, const CheckOptions &Options) {
  return Checker(G, Options).run();
}
