//===- Npy.cpp - numpy's array files for the interpreter ------------------===//

#include "Npy.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace limosa;
using namespace limosa::reference;

static Status fail(const std::string &Path, const char *What) {
  return Status(LIMOSA_STATUS_INVALID_ARGUMENT, Path + ": " + What);
}

/// What numpy calls elements of this width and class: "<f4".
static std::string descriptor(DType T) {
  int64_t Size = elementBytes(T);
  if (T == DType::Bool)
    return "|b1";
  bool NumpyFloat = T == DType::F16 || T == DType::F32 || T == DType::F64;
  char Kind = NumpyFloat                                                 ? 'f'
              : dtypeClass(T) == DTypeClass::Signed && dtypeBits(T) >= 8 ? 'i'
                                                                         : 'u';
  return std::string(1, Size == 1 ? '|' : '<') + Kind + std::to_string(Size);
}

Status limosa::reference::readNpy(const std::string &Path, DType T,
                                  Tensor &Out) {
  std::FILE *F = std::fopen(Path.c_str(), "rb");
  if (!F)
    return fail(Path, "cannot be opened");
  std::vector<char> Bytes;
  char Piece[1 << 16];
  while (size_t N = std::fread(Piece, 1, sizeof(Piece), F))
    Bytes.insert(Bytes.end(), Piece, Piece + N);
  std::fclose(F);
  if (Bytes.size() < 12 || std::memcmp(Bytes.data(), "\x93NUMPY", 6) != 0)
    return fail(Path, "is not a .npy file");
  bool Short = Bytes[6] == 1;
  uint32_t Length = uint8_t(Bytes[8]) | uint8_t(Bytes[9]) << 8;
  if (!Short)
    Length |= uint32_t(uint8_t(Bytes[10])) << 16 | uint32_t(uint8_t(Bytes[11]))
                                                       << 24;
  size_t Begin = (Short ? 10 : 12) + size_t(Length);
  if (Begin > Bytes.size())
    return fail(Path, "is damaged");
  std::string Header(Bytes.data() + (Short ? 10 : 12), Length);
  if (Header.find("'fortran_order': False") == std::string::npos)
    return fail(Path, "is not row-major");
  size_t Open = Header.find("'shape': ("), Kind = Header.find("'descr': '");
  if (Open == std::string::npos || Kind == std::string::npos)
    return fail(Path, "is damaged");
  Shape Dims;
  for (const char *P = Header.c_str() + Open + 10; *P && *P != ')';) {
    char *End;
    int64_t D = std::strtoll(P, &End, 10);
    if (End == P)
      ++P;
    else
      Dims.push_back(D), P = End;
  }
  const char *Descr = Header.c_str() + Kind + 10;
  if (std::atoi(Descr + 2) != elementBytes(T))
    return fail(Path, "has elements of another width than the graph's input");
  Out = Tensor::make(T, Dims);
  if (!Out || int64_t(Bytes.size() - Begin) < Out.bytes())
    return fail(Path, "is damaged");
  std::memcpy(Out.data(), Bytes.data() + Begin, size_t(Out.bytes()));
  return Status();
}

Status limosa::reference::writeNpy(const std::string &Path, const Tensor &T) {
  std::string Header = "{'descr': '" + descriptor(T.dtype()) +
                       "', 'fortran_order': False, 'shape': (";
  for (int64_t D : T.dims())
    Header += std::to_string(D) + ", ";
  Header += "), }";
  while ((10 + Header.size() + 1) % 64 != 0)
    Header += ' ';
  Header += '\n';
  std::FILE *F = std::fopen(Path.c_str(), "wb");
  if (!F)
    return fail(Path, "cannot be written");
  const char Magic[] = {'\x93',
                        'N',
                        'U',
                        'M',
                        'P',
                        'Y',
                        1,
                        0,
                        char(Header.size() & 255),
                        char(Header.size() >> 8)};
  bool Ok = std::fwrite(Magic, 1, sizeof(Magic), F) == sizeof(Magic) &&
            std::fwrite(Header.data(), 1, Header.size(), F) == Header.size() &&
            std::fwrite(T.data(), 1, size_t(T.bytes()), F) == size_t(T.bytes());
  Ok &= std::fclose(F) == 0;
  return Ok ? Status() : fail(Path, "cannot be written");
}
