//===- Arrays.cpp - Files of arrays, whatever their format ----------------===//

#include "Arrays.h"
#include "Npy.h"
#include "Safetensors.h"
#include "Texts.h"
#include "limosa/Runtime/AtomicFile.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>

using namespace limosa;
using namespace limosa::tool;

/// All of a file, which may be a pipe.
static bool readWhole(const std::string &Path, std::vector<uint8_t> &Out) {
  std::ifstream File(Path, std::ios::binary);
  std::error_code None;
  if (!File || std::filesystem::is_directory(Path, None))
    return false;
  if (auto Size = std::filesystem::file_size(Path, None); !None)
    Out.reserve(Size + 1);
  constexpr size_t Piece = 1 << 20;
  while (File) {
    const size_t Had = Out.size();
    Out.resize(Had + std::max(Piece, Out.capacity() - Had));
    File.read(reinterpret_cast<char *>(&Out[Had]),
              std::streamsize(Out.size() - Had));
    Out.resize(Had + size_t(File.gcount()));
  }
  return !File.bad();
}

Status tool::readArrays(const std::string &Path,
                        std::vector<NamedTensor> &Out) {
  std::vector<uint8_t> Bytes;
  if (!readWhole(Path, Bytes))
    return {LIMOSA_STATUS_NOT_FOUND, "cannot read " + Path};
  if (Path.ends_with(".safetensors"))
    return parseSafetensors(Bytes, Path, Out);
  if (Path.ends_with(".json")) {
    Out.emplace_back();
    return parseJsonTexts(Bytes, Path, Out.back().Value);
  }
  if (Bytes.size() < 2 || Bytes[0] != 'P' || Bytes[1] != 'K') {
    Out.emplace_back();
    return parseNpy(Bytes, Path, Out.back().Value);
  }
  std::vector<std::pair<std::string, std::vector<uint8_t>>> Members;
  if (Status S = readZip(Bytes, Path, Members))
    return S;
  for (auto &[Name, Content] : Members) {
    HostTensor Value;
    if (Status S = parseNpy(Content, Path + ":" + Name, Value))
      return S;
    if (Name.ends_with(".npy"))
      Name.resize(Name.size() - 4);
    Out.push_back({Name, std::move(Value)});
  }
  return {};
}

Status tool::writeArrays(const std::string &Path,
                         const std::vector<NamedTensor> &Arrays) {
  std::vector<uint8_t> Bytes;
  if (Path.ends_with(".safetensors")) {
    if (Status S = formatSafetensors(Arrays, Bytes))
      return S;
  } else if (Path.ends_with(".npy")) {
    if (Arrays.size() != 1)
      return runtime::invalidArgument(
          fmt::format("a .npy file holds one array, not {}; write a .npz file",
                      Arrays.size()));
    if (Status S = formatNpy(Arrays[0].Value, Bytes))
      return S;
  } else {
    return writeNpz(Path, Arrays);
  }
  runtime::AtomicFile File(Path);
  File.write(Bytes.data(), Bytes.size());
  return File.commit();
}
