//===- Dump.cpp - Stage dumps asked for by LIMOSA_DUMP --------------------===//

#include "limosa/Codegen/Backend.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdlib>
#include <map>
#include <memory>

using namespace llvm;

namespace limosa {

static constexpr StringLiteral StageNames[] = {
    "loops", "llvm-dialect", "llvm", "llvm-opt", "asm", "times"};

void dumpFromEnvironment(BackendOptions &Options) {
  const char *Setting = std::getenv("LIMOSA_DUMP");
  if (!Setting || !*Setting)
    return;
  auto Streams =
      std::make_shared<std::map<DumpStage, std::shared_ptr<raw_fd_ostream>>>();
  SmallVector<StringRef> Items;
  StringRef(Setting).split(Items, ',');
  for (StringRef Item : Items) {
    auto [Name, File] = Item.split('=');
    auto Found = llvm::find(StageNames, Name);
    if (Found == std::end(StageNames)) {
      errs() << "LIMOSA_DUMP: no stage '" << Name
             << "'; known: " << join(ArrayRef(StageNames), ", ") << "\n";
      continue;
    }
    auto Stage = static_cast<DumpStage>(Found - std::begin(StageNames));
    if (!File.empty()) {
      std::error_code Error;
      auto Stream = std::make_shared<raw_fd_ostream>(File, Error);
      if (Error) {
        errs() << "LIMOSA_DUMP: cannot write " << File << ": "
               << Error.message() << "\n";
        continue;
      }
      (*Streams)[Stage] = std::move(Stream);
    }
    Options.DumpStages |= 1u << static_cast<unsigned>(Stage);
  }
  Options.Dump = [Streams](DumpStage Stage, StringRef Kernels, StringRef Text) {
    auto Found = Streams->find(Stage);
    raw_ostream &Stream = Found == Streams->end()
                              ? static_cast<raw_ostream &>(errs())
                              : *Found->second;
    Stream << "// " << StageNames[static_cast<unsigned>(Stage)] << " of "
           << Kernels << "\n"
           << Text << "\n";
    Stream.flush();
  };
}

} // namespace limosa
