//===- Zip.cpp - The archives .npz files are ------------------------------===//
//
// PKWARE's APPNOTE.TXT, the part NumPy uses: stored or deflated members, zip64
// sizes, no encryption, one disk.
//
//===----------------------------------------------------------------------===//

#include "Npy.h"
#include "limosa/Runtime/AtomicFile.h"

#include <cstring>
#include <zlib.h>

using namespace limosa;
using namespace limosa::tool;

namespace {

constexpr uint32_t LocalSignature = 0x04034b50;
constexpr uint32_t CentralSignature = 0x02014b50;
constexpr uint32_t EndSignature = 0x06054b50;
constexpr uint32_t End64Signature = 0x06064b50;
constexpr uint32_t Locator64Signature = 0x07064b50;

/// Reads little-endian numbers; beyond the end it gives 0 and `Good` is false.
struct Reader {
  std::span<const uint8_t> Bytes;
  bool Good = true;

  uint64_t number(uint64_t At, unsigned Width) {
    if (At > Bytes.size() || Width > Bytes.size() - At) {
      Good = false;
      return 0;
    }
    uint64_t Value = 0;
    for (unsigned I = 0; I < Width; ++I)
      Value |= uint64_t(Bytes[At + I]) << (8 * I);
    return Value;
  }
  std::span<const uint8_t> range(uint64_t At, uint64_t Size) {
    if (At > Bytes.size() || Size > Bytes.size() - At) {
      Good = false;
      return {};
    }
    return Bytes.subspan(At, Size);
  }
};

struct Member {
  std::string Name;
  uint64_t Method, Packed, Size, Offset, Crc;
};

/// Replaces sizes that read 0xffffffff by those of the zip64 extra field.
void applyZip64(Reader &R, uint64_t At, uint64_t End, Member &M) {
  while (R.Good && At + 4 <= End) {
    uint64_t Id = R.number(At, 2), Size = R.number(At + 2, 2);
    if (Id == 1) {
      uint64_t Field = At + 4;
      for (uint64_t *Value : {&M.Size, &M.Packed, &M.Offset})
        if (*Value == 0xffffffff) {
          *Value = R.number(Field, 8);
          Field += 8;
        }
    }
    At += 4 + Size;
  }
}

bool inflateTo(std::span<const uint8_t> From, std::vector<uint8_t> &To) {
  z_stream Stream = {};
  if (inflateInit2(&Stream, -MAX_WBITS) != Z_OK)
    return false;
  // zlib counts in 32 bits, so large members go through in pieces.
  constexpr size_t Piece = size_t(1) << 30;
  size_t In = 0, Out = 0;
  int Code = Z_OK;
  while (Code == Z_OK) {
    size_t Input = std::min(Piece, From.size() - In);
    size_t Space = std::min(Piece, To.size() - Out);
    Stream.next_in = const_cast<Bytef *>(From.data() + In);
    Stream.avail_in = uInt(Input);
    Stream.next_out = To.data() + Out;
    Stream.avail_out = uInt(Space);
    Code = inflate(&Stream, Z_NO_FLUSH);
    size_t Read = Input - Stream.avail_in, Wrote = Space - Stream.avail_out;
    if (!Read && !Wrote && Code == Z_OK)
      break;
    In += Read;
    Out += Wrote;
  }
  inflateEnd(&Stream);
  return Code == Z_STREAM_END && Out == To.size();
}

void put(std::vector<uint8_t> &Out, uint64_t Value, unsigned Width) {
  for (unsigned I = 0; I < Width; ++I)
    Out.push_back(uint8_t(Value >> (8 * I)));
}

uint32_t checksum(std::span<const uint8_t> Bytes) {
  return uint32_t(crc32_z(0, Bytes.data(), Bytes.size()));
}

} // namespace

Status
tool::readZip(std::span<const uint8_t> Bytes, const std::string &What,
              std::vector<std::pair<std::string, std::vector<uint8_t>>> &Out) {
  auto Damaged = [&](const std::string &Why) {
    return runtime::corrupt(What + " is a damaged .npz file: " + Why);
  };
  Reader R{Bytes};
  // The directory's end is a record of 22 bytes and a comment of up to 64 KiB.
  if (Bytes.size() < 22)
    return Damaged("it is too short");
  uint64_t End = Bytes.size() - 22;
  const uint64_t Lowest = End > 0xffff ? End - 0xffff : 0;
  while (R.number(End, 4) != EndSignature) {
    if (End == Lowest)
      return Damaged("it has no directory");
    --End;
  }
  uint64_t Count = R.number(End + 10, 2), At = R.number(End + 16, 4);
  if (End >= 20 && R.number(End - 20, 4) == Locator64Signature) {
    uint64_t End64 = R.number(End - 12, 8);
    if (R.number(End64, 4) != End64Signature)
      return Damaged("its zip64 directory is missing");
    Count = R.number(End64 + 32, 8);
    At = R.number(End64 + 48, 8);
  }
  for (uint64_t I = 0; I < Count; ++I) {
    if (R.number(At, 4) != CentralSignature)
      return Damaged("its directory is cut short");
    Member M;
    M.Method = R.number(At + 10, 2);
    M.Crc = R.number(At + 16, 4);
    M.Packed = R.number(At + 20, 4);
    M.Size = R.number(At + 24, 4);
    uint64_t NameSize = R.number(At + 28, 2), Extra = R.number(At + 30, 2);
    uint64_t Comment = R.number(At + 32, 2);
    M.Offset = R.number(At + 42, 4);
    std::span<const uint8_t> Name = R.range(At + 46, NameSize);
    M.Name.assign(Name.begin(), Name.end());
    applyZip64(R, At + 46 + NameSize, At + 46 + NameSize + Extra, M);
    At += 46 + NameSize + Extra + Comment;

    if (R.number(M.Offset, 4) != LocalSignature)
      return Damaged(M.Name + " is missing");
    uint64_t Data =
        M.Offset + 30 + R.number(M.Offset + 26, 2) + R.number(M.Offset + 28, 2);
    std::span<const uint8_t> Packed = R.range(Data, M.Packed);
    if (!R.Good)
      return Damaged(M.Name + " is cut short");
    std::vector<uint8_t> Content;
    if (M.Method == 0) {
      Content.assign(Packed.begin(), Packed.end());
    } else if (M.Method == 8) {
      // Deflate packs at most about 1032 to 1.
      if (M.Size / 1040 > M.Packed)
        return Damaged(M.Name + " claims an impossible size");
      Content.resize(M.Size);
      if (!inflateTo(Packed, Content))
        return Damaged(M.Name + " cannot be unpacked");
    } else {
      return {LIMOSA_STATUS_UNSUPPORTED,
              What + " is packed by a method other than deflate; save it with "
                     "numpy.savez or savez_compressed"};
    }
    if (checksum(Content) != M.Crc)
      return Damaged("the checksum of " + M.Name + " is wrong");
    Out.emplace_back(std::move(M.Name), std::move(Content));
  }
  return {};
}

Status tool::writeNpz(const std::string &Path,
                      const std::vector<NamedTensor> &Arrays) {
  runtime::AtomicFile File(Path);
  std::vector<uint8_t> Directory;
  uint64_t Offset = 0;
  auto Write = [&](std::span<const uint8_t> Bytes) {
    File.write(Bytes.data(), Bytes.size());
    Offset += Bytes.size();
  };
  for (const NamedTensor &Array : Arrays) {
    std::vector<uint8_t> Content;
    if (Status S = formatNpy(Array.Value, Content))
      return S;
    std::string Name = Array.Name + ".npy";
    if (Offset + Content.size() > 0xfffffffe)
      return {LIMOSA_STATUS_UNSUPPORTED,
              Path + " would exceed 4 GB; write fewer outputs"};
    std::vector<uint8_t> Fields; // shared by both headers of a member
    put(Fields, 20, 2);          // version needed
    put(Fields, 0, 2);           // flags
    put(Fields, 0, 2);           // stored
    put(Fields, 0x00210000, 4);  // 1980-01-01 00:00
    put(Fields, checksum(Content), 4);
    put(Fields, Content.size(), 4);
    put(Fields, Content.size(), 4);
    put(Fields, Name.size(), 2);
    put(Fields, 0, 2); // extra

    put(Directory, CentralSignature, 4);
    put(Directory, 20, 2);
    Directory.insert(Directory.end(), Fields.begin(), Fields.end());
    put(Directory, 0, 2); // comment
    put(Directory, 0, 2); // disk
    put(Directory, 0, 2); // internal attributes
    put(Directory, 0, 4); // external attributes
    put(Directory, Offset, 4);
    Directory.insert(Directory.end(), Name.begin(), Name.end());

    std::vector<uint8_t> Local;
    put(Local, LocalSignature, 4);
    Local.insert(Local.end(), Fields.begin(), Fields.end());
    Local.insert(Local.end(), Name.begin(), Name.end());
    Write(Local);
    Write(Content);
  }
  const uint64_t Start = Offset;
  Write(Directory);
  std::vector<uint8_t> End;
  put(End, EndSignature, 4);
  put(End, 0, 4);
  put(End, Arrays.size(), 2);
  put(End, Arrays.size(), 2);
  put(End, Directory.size(), 4);
  put(End, Start, 4);
  put(End, 0, 2);
  Write(End);
  return File.commit();
}
