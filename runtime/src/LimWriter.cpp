//===- LimWriter.cpp - Writing compiled models ----------------------------===//

#include "limosa/Runtime/AtomicFile.h"
#include "Hash.h"
#include "limosa/Runtime/LimFile.h"

#include <cstring>

using namespace limosa::runtime;

namespace {
uint64_t alignTo(uint64_t Value, uint64_t Alignment) {
  return (Value + Alignment - 1) / Alignment * Alignment;
}
constexpr uint8_t Zeros[LimSectionAlignment] = {};
} // namespace

uint64_t LimFileWriter::add(Section &S, std::span<const uint8_t> Bytes) {
  uint64_t Offset = alignTo(S.Size, LimItemAlignment);
  if (Offset != S.Size)
    S.Items.push_back({Zeros, size_t(Offset - S.Size)});
  S.Items.push_back(Bytes);
  S.Size = Offset + Bytes.size();
  return Offset;
}

uint64_t LimFileWriter::addCode(std::vector<uint8_t> &&Bytes) {
  Owned.push_back(std::move(Bytes));
  return add(Code, Owned.back());
}

uint64_t LimFileWriter::addData(std::vector<uint8_t> &&Bytes) {
  Owned.push_back(std::move(Bytes));
  return add(Data, Owned.back());
}

bool LimFileWriter::emit(std::span<const uint8_t> Meta, const Sink &Out) const {
  LimHeader H = {};
  std::memcpy(H.Magic, LimMagic, sizeof(LimMagic));
  H.Version = LimVersion;
  H.MetaSize = Meta.size();
  H.CodeOffset = alignTo(LimHeaderSize + Meta.size(), LimSectionAlignment);
  H.CodeSize = Code.Size;
  H.DataOffset = alignTo(H.CodeOffset + H.CodeSize, LimSectionAlignment);
  H.DataSize = Data.Size;
  Hasher Sum;
  Sum.add(&H, offsetof(LimHeader, Checksum));
  Sum.add(Meta);
  for (std::span<const uint8_t> Item : Code.Items)
    Sum.add(Item);
  H.Checksum = Sum.digest64();

  Hasher DataSum;
  auto Items = [&](const Section &S, Hasher *Sum) {
    for (std::span<const uint8_t> Item : S.Items) {
      if (Sum)
        Sum->add(Item);
      if (!Item.empty() && !Out(Item.data(), Item.size()))
        return false;
    }
    return true;
  };
  uint64_t MetaEnd = LimHeaderSize + Meta.size();
  uint64_t CodeEnd = H.CodeOffset + H.CodeSize;
  if (!Out(&H, sizeof(H)) || !Out(Meta.data(), Meta.size()) ||
      !Out(Zeros, H.CodeOffset - MetaEnd) || !Items(Code, nullptr) ||
      !Out(Zeros, H.DataOffset - CodeEnd) || !Items(Data, &DataSum))
    return false;
  uint64_t Tail = DataSum.digest64();
  return Out(&Tail, sizeof(Tail));
}

Status LimFileWriter::write(const std::string &Path,
                            std::span<const uint8_t> Meta) const {
  AtomicFile File(Path);
  emit(Meta,
       [&](const void *Bytes, size_t Size) { return File.write(Bytes, Size); });
  return File.commit();
}

std::vector<uint8_t> LimFileWriter::bytes(std::span<const uint8_t> Meta) const {
  std::vector<uint8_t> Result;
  emit(Meta, [&](const void *Bytes, size_t Size) {
    auto *Begin = static_cast<const uint8_t *>(Bytes);
    Result.insert(Result.end(), Begin, Begin + Size);
    return true;
  });
  return Result;
}
