//===- Tuner.cpp - Choices by the clock -----------------------------------===//

#include "limosa/Tuning/Tuner.h"

#include "limosa/IR/Types.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
using namespace limosa::codegen;

namespace limosa::tuning {

namespace {

/// Rounds of changing one choice and going on from the best.
constexpr unsigned MaxSteps = 3;

/// What is written in a note: the ways, and the measurement.
constexpr StringLiteral NoteMark = "limosa-choice-1";

std::string noteText(const Verdict &V) {
  return (NoteMark + "\n" + toText(V.Ways) + "\n" +
          llvm::formatv("{0:e9} {1:e9} {2}", V.Times->Seconds,
                        V.Times->EstimateSeconds, V.Times->Tried)
              .str() +
          "\n")
      .str();
}

/// The inverse of `noteText`; nullopt for anything else.
std::optional<Verdict> parseNote(StringRef Text) {
  SmallVector<StringRef> Lines, Numbers;
  Text.split(Lines, '\n');
  if (Lines.size() != 4 || Lines[0] != NoteMark || !Lines[3].empty())
    return std::nullopt;
  std::optional<AskedWays> Ways = parseWays(Lines[1]);
  Lines[2].split(Numbers, ' ');
  MeasuredChoice Times;
  if (!Ways || Numbers.size() != 3 || Numbers[0].getAsDouble(Times.Seconds) ||
      Numbers[1].getAsDouble(Times.EstimateSeconds) ||
      Numbers[2].getAsInteger(10, Times.Tried))
    return std::nullopt;
  return Verdict{Verdict::Known, std::move(*Ways), Times, {}};
}

} // namespace

/// Ways of one kernel, and what was made of them.
struct Tuner::Variants {
  SmallVector<AskedWays> Ways;
  std::vector<CompiledKernel> Kernels;
};

/// A symbol of the kernel's shapes whose value is not known.
std::optional<std::string> Tuner::openSymbol(func::FuncOp Kernel) const {
  for (TypeRange Types : {TypeRange(Kernel.getArgumentTypes()),
                          TypeRange(Kernel.getResultTypes())})
    for (Type Ty : Types)
      for (const DimExpr &D : getDims(Ty))
        for (const std::string &Symbol : D.symbols())
          if (!Options.Symbols.contains(Symbol))
            return Symbol;
  return std::nullopt;
}

/// Names what a kernel's times depend on.
std::string Tuner::noteName(StringRef Text) const {
  const TargetOptions &T = Options.Target;
  std::string Key;
  for (const std::string &Part :
       {Text.str(), T.Isa, std::to_string(T.Workers),
        std::to_string(int(T.Winograd)), Watch.machine(), Options.Compiler})
    Key += std::to_string(Part.size()) + ":" + Part;
  for (const auto &[Symbol, Size] : Options.Symbols)
    if (Text.contains(Symbol))
      Key += Symbol + "=" + std::to_string(Size) + ";";
  llvm::XXH128_hash_t Hash = llvm::xxh3_128bits(llvm::arrayRefFromStringRef(Key));
  return "choice-" + llvm::utohexstr(Hash.high64, true, 16) +
         llvm::utohexstr(Hash.low64, true, 16);
}

/// What a kernel becomes with some ways; its code is thrown away.
llvm::Expected<CompiledKernel> Tuner::plan(func::FuncOp Kernel,
                                           const AskedWays &Ways) const {
  auto Compiler = KernelCompiler::create(Kernel.getContext(), Options.Target);
  if (!Compiler)
    return Compiler.takeError();
  return (*Compiler)->add(Kernel, Ways);
}

/// What a note says, unless it asks for ways that the kernel does not have.
std::optional<Verdict> Tuner::recall(func::FuncOp Kernel,
                                     const std::string &Note) const {
  if (!Options.Notes || Options.Again)
    return std::nullopt;
  std::optional<std::string> Text = Options.Notes->readNote(Note);
  std::optional<Verdict> Found = Text ? parseNote(*Text) : std::nullopt;
  if (!Found)
    return std::nullopt;
  auto Planned = plan(Kernel, Found->Ways);
  if (!Planned) {
    llvm::consumeError(Planned.takeError());
    return std::nullopt;
  }
  for (const auto &[Name, Way] : Found->Ways)
    if (llvm::none_of(Planned->Choices, [&](const Choice &C) {
          return C.Name == Name && C.Taken == Way;
        }))
      return std::nullopt;
  return Found;
}

/// Compiles the variants and hands them to the stopwatch.
llvm::Expected<bool> Tuner::load(func::FuncOp Kernel, Variants &V) {
  auto Compiler = KernelCompiler::create(Kernel.getContext(), Options.Target);
  if (!Compiler)
    return Compiler.takeError();
  V.Kernels.clear();
  for (const AskedWays &Ways : V.Ways) {
    // Variants are functions of one image and need names of their own.
    OwningOpRef<func::FuncOp> Copy(Kernel.clone());
    Copy->setSymName(
        (Kernel.getName() + "_" + std::to_string(V.Kernels.size())).str());
    auto Compiled = (*Compiler)->add(*Copy, Ways);
    if (!Compiled)
      return Compiled.takeError();
    V.Kernels.push_back(std::move(*Compiled));
  }
  auto Image = (*Compiler)->finish();
  if (!Image)
    return Image.takeError();
  return Watch.load(Kernel, V.Kernels, *Image, Options.Symbols);
}

llvm::Expected<Verdict> Tuner::measure(func::FuncOp Kernel,
                                       ArrayRef<Choice> Choices) {
  auto Time = [&](unsigned I) { return Watch.time(I); };
  Verdict V;
  V.What = Verdict::Measured;
  V.Times.emplace();
  std::vector<Choice> Open = Choices.vec();
  for (unsigned Step = 0; Step < MaxSteps && !Open.empty(); ++Step) {
    Variants Now;
    Now.Ways.push_back(V.Ways);
    SmallVector<std::string> Changed = {""};
    for (const Choice &C : Open)
      for (const std::string &Way : C.Ways)
        if (Way != C.Taken) {
          Now.Ways.push_back(V.Ways);
          Now.Ways.back()[C.Name] = Way;
          Changed.push_back(C.Name);
        }
    auto Loaded = load(Kernel, Now);
    if (!Loaded)
      return Loaded.takeError();
    if (!*Loaded)
      return Verdict();
    auto Best = compareWays(Now.Ways.size(), Time);
    if (!Best)
      return Best.takeError();
    V.Times->Tried += Now.Ways.size() - 1;
    V.Times->Seconds = Best->Seconds;
    if (Step == 0)
      V.Times->EstimateSeconds = Best->FirstSeconds;
    if (Best->Winner == 0)
      break;
    V.Ways = Now.Ways[Best->Winner];
    // What this way leaves open, but for what has been tried.
    std::vector<Choice> Left = Now.Kernels[Best->Winner].Choices;
    llvm::erase_if(Left,
                   [&](const Choice &C) { return V.Ways.contains(C.Name); });
    Open = std::move(Left);
  }
  if (V.Ways.empty())
    return V;
  // Of many ways one is fastest by chance: once more, against the estimate.
  Variants Last;
  Last.Ways = {AskedWays(), V.Ways};
  auto Loaded = load(Kernel, Last);
  if (!Loaded)
    return Loaded.takeError();
  auto Best = compareWays(2, Time);
  if (!Best)
    return Best.takeError();
  if (Best->Winner == 0)
    V.Ways.clear();
  V.Times->Seconds = Best->Seconds;
  V.Times->EstimateSeconds = Best->FirstSeconds;
  return V;
}

Verdict Tuner::tune(func::FuncOp Kernel) {
  std::string Text = kernelText(Kernel);
  if (auto It = Done.find(Text); It != Done.end())
    return It->second;
  auto Decide = [&]() -> Verdict {
    auto Failed = [](llvm::Error E) {
      return Verdict{Verdict::Failed, {}, {}, llvm::toString(std::move(E))};
    };
    auto Planned = plan(Kernel, {});
    if (!Planned)
      return Failed(Planned.takeError());
    if (Planned->Choices.empty())
      return {};
    if (std::optional<std::string> Symbol = openSymbol(Kernel))
      return {Verdict::OpenSize, {}, {}, *Symbol};
    const std::string Note = noteName(Text);
    if (std::optional<Verdict> Known = recall(Kernel, Note))
      return *Known;
    auto Found = measure(Kernel, Planned->Choices);
    if (!Found)
      return Failed(Found.takeError());
    // A note that cannot be kept is measured again the next time.
    if (Options.Notes && Found->What == Verdict::Measured)
      (void)Options.Notes->writeNote(Note, noteText(*Found)).ok();
    return std::move(*Found);
  };
  return Done[Text] = Decide();
}

} // namespace limosa::tuning
