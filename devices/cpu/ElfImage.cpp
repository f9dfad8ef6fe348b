//===- ElfImage.cpp - A small loader for generated code -------------------===//

#include "ElfImage.h"

#include <algorithm>
#include <cstring>
#include <elf.h>
#include <sys/mman.h>
#include <vector>

using namespace limosa::cpu;

namespace {
constexpr uint64_t Page = 4096;
constexpr uint64_t MaxImageSize = uint64_t(1) << 30;
uint64_t pageDown(uint64_t V) { return V & ~(Page - 1); }
uint64_t pageUp(uint64_t V) { return pageDown(V + Page - 1); }
} // namespace

class ElfImage::Loader {
public:
  Loader(std::span<const uint8_t> Bytes, ElfImage &Image, std::string &Error)
      : Bytes(Bytes), Image(Image), Error(Error) {}

  bool run() {
    return readHeader() && readSegments() && map() && relocate() &&
           readSymbols() && protect();
  }
  bool runInPlace() {
    return readHeader() && readSegments() && useInPlace() && readSymbols();
  }

private:
  bool fail(const char *Why) {
    Error = std::string("bad code image: ") + Why;
    return false;
  }

  /// Copies a T out of the file; false if it does not lie within.
  template <typename T> bool read(uint64_t Offset, T &Out) const {
    if (Offset > Bytes.size() || sizeof(T) > Bytes.size() - Offset)
      return false;
    std::memcpy(&Out, Bytes.data() + Offset, sizeof(T));
    return true;
  }
  /// The offset of item `I` of a table, or an offset out of range.
  static uint64_t item(uint64_t Table, uint64_t Stride, uint64_t I) {
    uint64_t Offset;
    if (__builtin_mul_overflow(Stride, I, &Offset) ||
        __builtin_add_overflow(Table, Offset, &Offset))
      return UINT64_MAX;
    return Offset;
  }
  bool inImage(uint64_t Address, uint64_t Length) const {
    return Address <= Image.Size && Length <= Image.Size - Address;
  }

  bool readHeader() {
    if (!read(0, Header) || std::memcmp(Header.e_ident, ELFMAG, SELFMAG) != 0)
      return fail("not ELF");
    if (Header.e_ident[EI_CLASS] != ELFCLASS64 ||
        Header.e_ident[EI_DATA] != ELFDATA2LSB || Header.e_machine != EM_X86_64)
      return fail("not for x86-64");
    if (Header.e_type != ET_DYN)
      return fail("not position independent");
    if (Header.e_phentsize != sizeof(Elf64_Phdr))
      return fail("unknown program headers");
    return true;
  }

  bool readSegments() {
    for (unsigned I = 0; I < Header.e_phnum; ++I) {
      Elf64_Phdr P;
      if (!read(item(Header.e_phoff, sizeof(P), I), P))
        return fail("truncated program headers");
      if (P.p_type == PT_INTERP || P.p_type == PT_TLS)
        return fail("it needs the system's loader");
      if (P.p_type == PT_DYNAMIC)
        Dynamic = P;
      if (P.p_type != PT_LOAD || P.p_memsz == 0)
        continue;
      if (P.p_offset > Bytes.size() || P.p_filesz > Bytes.size() - P.p_offset ||
          P.p_filesz > P.p_memsz)
        return fail("a segment lies outside the file");
      if (P.p_vaddr > MaxImageSize || P.p_memsz > MaxImageSize - P.p_vaddr)
        return fail("a segment lies beyond 1 GiB");
      if ((P.p_flags & PF_W) && (P.p_flags & PF_X))
        return fail("a segment is writable and executable");
      if (!Segments.empty() &&
          pageDown(P.p_vaddr) <
              pageUp(Segments.back().p_vaddr + Segments.back().p_memsz))
        return fail("segments share a page");
      Segments.push_back(P);
    }
    if (Segments.empty())
      return fail("nothing to load");
    return true;
  }

  bool map() {
    uint64_t Size = pageUp(Segments.back().p_vaddr + Segments.back().p_memsz);
    void *Memory = mmap(nullptr, Size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (Memory == MAP_FAILED)
      return fail("no memory for it");
    Image.Base = static_cast<uint8_t *>(Memory);
    Image.Size = Size;
    Image.Mapped = true;
    for (const Elf64_Phdr &P : Segments)
      std::memcpy(Image.Base + P.p_vaddr, Bytes.data() + P.p_offset,
                  P.p_filesz);
    return true;
  }

  bool useInPlace() {
    for (const Elf64_Phdr &P : Segments)
      if (P.p_offset != P.p_vaddr || (P.p_flags & PF_W))
        return fail("it cannot be used where it lies");
    if (uint64_t(Bytes.data()) % Page)
      return fail("linked code is not at a multiple of 4096");
    Image.Base = const_cast<uint8_t *>(Bytes.data()); // only read and called
    Image.Size = Bytes.size();
    return true;
  }

  bool relocate() {
    uint64_t Table = 0, Size = 0;
    uint64_t Entries =
        Dynamic.p_type == PT_DYNAMIC ? Dynamic.p_filesz / sizeof(Elf64_Dyn) : 0;
    for (uint64_t I = 0; I < Entries; ++I) {
      Elf64_Dyn D;
      if (!read(item(Dynamic.p_offset, sizeof(D), I), D))
        return fail("truncated dynamic section");
      if (D.d_tag == DT_NULL)
        break;
      if (D.d_tag == DT_NEEDED)
        return fail("it needs a library");
      if (D.d_tag == DT_REL || D.d_tag == DT_JMPREL || D.d_tag == DT_RELR)
        return fail("a kind of relocation that is not supported");
      if (D.d_tag == DT_RELA)
        Table = D.d_un.d_ptr;
      if (D.d_tag == DT_RELASZ)
        Size = D.d_un.d_val;
    }
    if (!inImage(Table, Size))
      return fail("relocations lie outside it");
    for (uint64_t I = 0; I < Size / sizeof(Elf64_Rela); ++I) {
      Elf64_Rela R;
      std::memcpy(&R, Image.Base + Table + I * sizeof(R), sizeof(R));
      if (ELF64_R_TYPE(R.r_info) == R_X86_64_NONE)
        continue;
      if (ELF64_R_TYPE(R.r_info) != R_X86_64_RELATIVE)
        return fail("it is not self-contained (a relocation needs a symbol)");
      if (!inImage(R.r_offset, sizeof(uint64_t)))
        return fail("a relocation lies outside it");
      uint64_t Value = uint64_t(Image.Base) + uint64_t(R.r_addend);
      std::memcpy(Image.Base + R.r_offset, &Value, sizeof(Value));
    }
    return true;
  }

  bool executable(uint64_t Address) const {
    return std::any_of(Segments.begin(), Segments.end(),
                       [&](const Elf64_Phdr &P) {
                         return (P.p_flags & PF_X) && Address >= P.p_vaddr &&
                                Address - P.p_vaddr < P.p_memsz;
                       });
  }

  bool readSymbols() {
    if (Header.e_shentsize != sizeof(Elf64_Shdr))
      return fail("no section headers");
    for (unsigned I = 0; I < Header.e_shnum; ++I) {
      Elf64_Shdr Section, Strings;
      if (!read(item(Header.e_shoff, sizeof(Section), I), Section))
        return fail("truncated section headers");
      if (Section.sh_type != SHT_SYMTAB && Section.sh_type != SHT_DYNSYM)
        continue;
      if (Section.sh_link >= Header.e_shnum ||
          !read(item(Header.e_shoff, sizeof(Strings), Section.sh_link),
                Strings) ||
          Strings.sh_offset > Bytes.size() ||
          Strings.sh_size > Bytes.size() - Strings.sh_offset)
        return fail("a symbol table without strings");
      std::string_view Names(reinterpret_cast<const char *>(Bytes.data()) +
                                 Strings.sh_offset,
                             Strings.sh_size);
      for (uint64_t S = 1; S < Section.sh_size / sizeof(Elf64_Sym); ++S)
        if (!readSymbol(item(Section.sh_offset, sizeof(Elf64_Sym), S), Names))
          return false;
    }
    return true;
  }

  bool readSymbol(uint64_t Offset, std::string_view Names) {
    Elf64_Sym S;
    if (!read(Offset, S) || S.st_name >= Names.size())
      return fail("truncated symbols");
    std::string_view Name = Names.substr(S.st_name);
    Name = Name.substr(0, std::min(Name.size(), Name.find('\0')));
    if (S.st_shndx == SHN_UNDEF && !Name.empty()) {
      Error = "bad code image: undefined symbol '" + std::string(Name) + "'";
      return false;
    }
    if (ELF64_ST_TYPE(S.st_info) != STT_FUNC ||
        ELF64_ST_BIND(S.st_info) != STB_GLOBAL)
      return true;
    if (!executable(S.st_value))
      return fail("a function lies outside the code");
    Image.Functions.emplace(Name, Image.Base + S.st_value);
    return true;
  }

  bool protect() {
    // What lies between segments is not accessible.
    if (mprotect(Image.Base, Image.Size, PROT_NONE) != 0)
      return fail("the system does not allow to protect it");
    for (const Elf64_Phdr &P : Segments) {
      int Access = ((P.p_flags & PF_R) ? PROT_READ : 0) |
                   ((P.p_flags & PF_W) ? PROT_WRITE : 0) |
                   ((P.p_flags & PF_X) ? PROT_EXEC : 0);
      uint64_t Begin = pageDown(P.p_vaddr);
      if (mprotect(Image.Base + Begin, pageUp(P.p_vaddr + P.p_memsz) - Begin,
                   Access) != 0)
        return fail("the system does not allow to execute it");
    }
    return true;
  }

  std::span<const uint8_t> Bytes;
  ElfImage &Image;
  std::string &Error;
  Elf64_Ehdr Header = {};
  Elf64_Phdr Dynamic = {};
  std::vector<Elf64_Phdr> Segments;
};

std::unique_ptr<ElfImage> ElfImage::load(std::span<const uint8_t> Bytes,
                                         std::string &Error) {
  std::unique_ptr<ElfImage> Image(new ElfImage);
  if (!Loader(Bytes, *Image, Error).run())
    return nullptr;
  return Image;
}

std::unique_ptr<ElfImage> ElfImage::linked(std::span<const uint8_t> Bytes,
                                           std::string &Error) {
  std::unique_ptr<ElfImage> Image(new ElfImage);
  if (!Loader(Bytes, *Image, Error).runInPlace())
    return nullptr;
  return Image;
}

ElfImage::~ElfImage() {
  if (Mapped)
    munmap(Base, Size);
}

void *ElfImage::function(std::string_view Name) const {
  auto It = Functions.find(std::string(Name));
  return It == Functions.end() ? nullptr : It->second;
}
