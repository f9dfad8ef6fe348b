//===- TargetInfo.cpp - ISA levels ----------------------------------------===//

#include "limosa/Codegen/TargetInfo.h"
#include "limosa/Support/TilePermission.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/TargetParser/Host.h"

using namespace llvm;

namespace limosa {

static Error unknownIsa(StringRef Isa) {
  return createStringError("unknown ISA '" + Isa +
                           "'; known: auto, avx2, avx2+vnni, avx512, "
                           "avx512+vnni, avx512+vnni+bf16, "
                           "avx512+vnni+bf16+amx");
}

Expected<TargetInfo> getTargetInfo(StringRef Isa) {
  std::string Host;
  if (Isa.empty() || Isa == "auto") {
    Expected<std::string> Found = hostIsa();
    if (!Found)
      return Found.takeError();
    Host = *Found;
    Isa = Host;
  }
  SmallVector<StringRef> Parts;
  Isa.split(Parts, '+');
  TargetInfo Info;
  Info.Triple = "x86_64-unknown-linux-gnu";
  if (Parts[0] == "avx2") {
    Info.Cpu = "x86-64-v3";
    Info.TuneCpu = "haswell";
  } else if (Parts[0] == "avx512") {
    Info.Cpu = "x86-64-v4";
    Info.TuneCpu = "sapphirerapids";
    Info.HasAvx512 = true;
    Info.VectorBits = 512;
    Info.VectorRegisters = 32;
  } else {
    return unknownIsa(Isa);
  }
  for (StringRef Extra : ArrayRef(Parts).drop_front()) {
    if (Extra == "vnni")
      Info.HasVnni = true;
    else if (Extra == "bf16" && Info.HasAvx512)
      Info.HasBf16 = true;
    else if (Extra == "amx" && Info.HasBf16)
      Info.HasAmx = true;
    else
      return unknownIsa(Isa);
  }
  Info.Isa = Parts[0].str();
  SmallVector<StringRef> Features;
  if (Info.HasVnni) {
    Info.Isa += "+vnni";
    Features.push_back(Info.HasAvx512 ? "+avx512vnni" : "+avxvnni");
  }
  if (Info.HasBf16) {
    Info.Isa += "+bf16";
    Features.push_back("+avx512bf16");
  }
  if (Info.HasAmx) {
    Info.Isa += "+amx";
    Features.push_back("+amx-tile");
    Features.push_back("+amx-bf16");
  }
  // Full-width vectors even where the tuned-for CPU would rather not.
  Features.push_back("-prefer-256-bit");
  Info.Features = join(Features, ",");
  return Info;
}

Expected<std::string> hostIsa() {
  StringMap<bool> Has = sys::getHostCPUFeatures();
  auto HasAll = [&](std::initializer_list<StringRef> Names) {
    return all_of(Names, [&](StringRef Name) { return Has.lookup(Name); });
  };
  if (!HasAll({"avx2", "fma", "f16c", "bmi", "bmi2", "lzcnt", "movbe"}))
    return createStringError(
        "this CPU lacks AVX2, FMA or F16C, which generated "
        "code needs; use --device reference");
  if (HasAll({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})) {
    std::string Isa = "avx512";
    if (Has.lookup("avx512vnni"))
      Isa += "+vnni";
    if (!Has.lookup("avx512vnni") || !Has.lookup("avx512bf16"))
      return Isa;
    Isa += "+bf16";
    if (Has.lookup("amx-tile") && Has.lookup("amx-bf16") && mayUseTiles())
      Isa += "+amx";
    return Isa;
  }
  return std::string(Has.lookup("avxvnni") ? "avx2+vnni" : "avx2");
}

} // namespace limosa
