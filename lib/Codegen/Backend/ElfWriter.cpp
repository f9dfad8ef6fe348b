//===- ElfWriter.cpp - Images, and objects made from them -----------------===//

#include "ElfWriter.h"
#include "limosa/Codegen/ImageLinker.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Object/ELF.h"
#include "llvm/Support/MathExtras.h"
#include <cstring>

using namespace llvm;

namespace limosa {

namespace {

/// A string table under construction.
class StringTable {
public:
  uint32_t add(StringRef Text) {
    auto Offset = static_cast<uint32_t>(Chars.size());
    Chars.insert(Chars.end(), Text.begin(), Text.end());
    Chars.push_back(0);
    return Offset;
  }
  ArrayRef<uint8_t> bytes() const { return Chars; }

private:
  std::vector<uint8_t> Chars = {0};
};

/// Addresses of the tables at the front of an image.
struct FrontLayout {
  explicit FrontLayout(ArrayRef<ElfSymbol> Kernels) {
    uint64_t Count = Kernels.size() + 1; // the null symbol
    uint64_t StringBytes = 1;
    for (const ElfSymbol &Kernel : Kernels)
      StringBytes += Kernel.Name.size() + 1;
    Buckets = static_cast<uint32_t>(std::max<uint64_t>(Count, 1));
    Hash = sizeof(ELF::Elf64_Ehdr) + 4 * sizeof(ELF::Elf64_Phdr);
    Symbols = alignTo(Hash + 4 * (2 + Buckets + Count), 8);
    Strings = Symbols + Count * sizeof(ELF::Elf64_Sym);
    Dynamic = alignTo(Strings + StringBytes, 8);
    End = Dynamic + 6 * sizeof(ELF::Elf64_Dyn);
  }
  uint32_t Buckets;
  uint64_t Hash, Symbols, Strings, Dynamic, End;
};

template <typename T>
void store(std::vector<uint8_t> &Bytes, uint64_t Offset, const T &Value) {
  std::memcpy(Bytes.data() + Offset, &Value, sizeof(T));
}

/// Appends `Data` at the next multiple of `Align`; returns where.
uint64_t append(std::vector<uint8_t> &Bytes, ArrayRef<uint8_t> Data,
                uint64_t Align) {
  Bytes.resize(alignTo(Bytes.size(), Align));
  uint64_t Offset = Bytes.size();
  Bytes.insert(Bytes.end(), Data.begin(), Data.end());
  return Offset;
}

ELF::Elf64_Ehdr makeHeader(uint16_t Type) {
  ELF::Elf64_Ehdr Header = {};
  std::memcpy(Header.e_ident, ELF::ElfMagic, 4);
  Header.e_ident[ELF::EI_CLASS] = ELF::ELFCLASS64;
  Header.e_ident[ELF::EI_DATA] = ELF::ELFDATA2LSB;
  Header.e_ident[ELF::EI_VERSION] = ELF::EV_CURRENT;
  Header.e_type = Type;
  Header.e_machine = ELF::EM_X86_64;
  Header.e_version = ELF::EV_CURRENT;
  Header.e_ehsize = sizeof(ELF::Elf64_Ehdr);
  Header.e_shentsize = sizeof(ELF::Elf64_Shdr);
  return Header;
}

/// Section headers, their names, and the two places they go to.
class SectionTable {
public:
  SectionTable() { Headers.push_back({}); }
  ELF::Elf64_Shdr &add(StringRef Name, uint32_t Type, uint64_t Flags,
                       uint64_t Offset, uint64_t Size) {
    ELF::Elf64_Shdr Header = {};
    Header.sh_name = Names.add(Name);
    Header.sh_type = Type;
    Header.sh_flags = Flags;
    Header.sh_offset = Offset;
    Header.sh_size = Size;
    Header.sh_addralign = 1;
    Headers.push_back(Header);
    return Headers.back();
  }
  uint32_t size() const { return static_cast<uint32_t>(Headers.size()); }
  /// Ends the file with the names and the headers.
  void finish(std::vector<uint8_t> &Bytes, ELF::Elf64_Ehdr &Header) {
    ELF::Elf64_Shdr &Own = add(".shstrtab", ELF::SHT_STRTAB, 0, 0, 0);
    Own.sh_size = Names.bytes().size();
    Own.sh_offset = append(Bytes, Names.bytes(), 1);
    Header.e_shnum = static_cast<uint16_t>(size());
    Header.e_shstrndx = static_cast<uint16_t>(size() - 1);
    Header.e_shoff =
        append(Bytes,
               ArrayRef(reinterpret_cast<const uint8_t *>(Headers.data()),
                        Headers.size() * sizeof(ELF::Elf64_Shdr)),
               8);
    store(Bytes, 0, Header);
  }

private:
  std::vector<ELF::Elf64_Shdr> Headers;
  StringTable Names;
};

ELF::Elf64_Sym makeSymbol(uint32_t Name, uint8_t Type, uint16_t Section,
                          uint64_t Value, uint64_t Size) {
  ELF::Elf64_Sym Symbol = {};
  Symbol.st_name = Name;
  Symbol.setBindingAndType(ELF::STB_GLOBAL, Type);
  Symbol.st_shndx = Section;
  Symbol.st_value = Value;
  Symbol.st_size = Size;
  return Symbol;
}

} // namespace

uint64_t ElfImage::headerBytes(ArrayRef<ElfSymbol> Kernels) {
  return FrontLayout(Kernels).End;
}

ElfImage::ElfImage(std::vector<ElfSymbol> Kernels, uint64_t ConstantsEnd,
                   uint64_t CodeBegin, uint64_t CodeEnd) {
  constexpr uint8_t Trap = 0xcc; // int3
  FrontLayout Front(Kernels);
  Bytes.resize(CodeBegin);
  Bytes.resize(CodeEnd, Trap);
  auto Count = static_cast<uint32_t>(Kernels.size() + 1);

  // Sections, for tools; loaders need only the segments.
  SectionTable Sections;
  auto AddLoaded = [&](StringRef Name, uint32_t Type, uint64_t Flags,
                       uint64_t Begin, uint64_t End,
                       uint64_t Align) -> ELF::Elf64_Shdr & {
    ELF::Elf64_Shdr &Header =
        Sections.add(Name, Type, Flags | ELF::SHF_ALLOC, Begin, End - Begin);
    Header.sh_addr = Begin;
    Header.sh_addralign = Align;
    return Header;
  };
  constexpr uint32_t SymbolsIndex = 2, StringsIndex = 3, CodeIndex = 6;
  uint64_t HashBytes = 4 * (2 + Front.Buckets + Count);
  ELF::Elf64_Shdr &HashHeader = AddLoaded(".hash", ELF::SHT_HASH, 0, Front.Hash,
                                          Front.Hash + HashBytes, 8);
  HashHeader.sh_link = SymbolsIndex;
  HashHeader.sh_entsize = 4;
  ELF::Elf64_Shdr &SymbolsHeader =
      AddLoaded(".dynsym", ELF::SHT_DYNSYM, 0, Front.Symbols, Front.Strings, 8);
  SymbolsHeader.sh_link = StringsIndex;
  SymbolsHeader.sh_info = 1; // the first global symbol
  SymbolsHeader.sh_entsize = sizeof(ELF::Elf64_Sym);
  StringTable Strings;
  std::vector<ELF::Elf64_Sym> Symbols(1);
  for (const ElfSymbol &Kernel : Kernels)
    Symbols.push_back(makeSymbol(Strings.add(Kernel.Name), ELF::STT_FUNC,
                                 CodeIndex, Kernel.Address, Kernel.Size));
  AddLoaded(".dynstr", ELF::SHT_STRTAB, 0, Front.Strings,
            Front.Strings + Strings.bytes().size(), 1);
  ELF::Elf64_Shdr &DynamicHeader =
      AddLoaded(".dynamic", ELF::SHT_DYNAMIC, 0, Front.Dynamic, Front.End, 8);
  DynamicHeader.sh_link = StringsIndex;
  DynamicHeader.sh_entsize = sizeof(ELF::Elf64_Dyn);
  AddLoaded(".rodata", ELF::SHT_PROGBITS, 0, Front.End, ConstantsEnd, 64);
  AddLoaded(".text", ELF::SHT_PROGBITS, ELF::SHF_EXECINSTR, CodeBegin, CodeEnd,
            PageBytes);

  // The System V hash table.
  std::vector<uint32_t> Hash(2 + Front.Buckets + Count);
  Hash[0] = Front.Buckets;
  Hash[1] = Count;
  for (uint32_t I = 1; I < Count; ++I) {
    uint32_t &Bucket =
        Hash[2 + object::hashSysV(Kernels[I - 1].Name) % Front.Buckets];
    Hash[2 + Front.Buckets + I] = Bucket;
    Bucket = I;
  }
  std::memcpy(at(Front.Hash), Hash.data(), HashBytes);
  std::memcpy(at(Front.Symbols), Symbols.data(),
              Symbols.size() * sizeof(ELF::Elf64_Sym));
  llvm::copy(Strings.bytes(), at(Front.Strings));
  const std::pair<int64_t, uint64_t> Dynamic[] = {
      {ELF::DT_HASH, Front.Hash},
      {ELF::DT_SYMTAB, Front.Symbols},
      {ELF::DT_STRTAB, Front.Strings},
      {ELF::DT_STRSZ, Strings.bytes().size()},
      {ELF::DT_SYMENT, sizeof(ELF::Elf64_Sym)},
      {ELF::DT_NULL, 0}};
  for (auto [I, Entry] : enumerate(Dynamic)) {
    ELF::Elf64_Dyn Dyn;
    Dyn.d_tag = Entry.first;
    Dyn.d_un.d_val = Entry.second;
    store(Bytes, Front.Dynamic + I * sizeof(Dyn), Dyn);
  }

  ELF::Elf64_Ehdr Header = makeHeader(ELF::ET_DYN);
  Header.e_phoff = sizeof(ELF::Elf64_Ehdr);
  Header.e_phentsize = sizeof(ELF::Elf64_Phdr);
  Header.e_phnum = 4;
  auto StoreSegment = [&](unsigned Index, uint32_t Type, uint32_t Flags,
                          uint64_t Begin, uint64_t End, uint64_t Align) {
    ELF::Elf64_Phdr Segment = {};
    Segment.p_type = Type;
    Segment.p_flags = Flags;
    Segment.p_offset = Segment.p_vaddr = Segment.p_paddr = Begin;
    Segment.p_filesz = Segment.p_memsz = End - Begin;
    Segment.p_align = Align;
    store(Bytes, sizeof(ELF::Elf64_Ehdr) + Index * sizeof(Segment), Segment);
  };
  StoreSegment(0, ELF::PT_LOAD, ELF::PF_R, 0, ConstantsEnd, PageBytes);
  StoreSegment(1, ELF::PT_LOAD, ELF::PF_R | ELF::PF_X, CodeBegin, CodeEnd,
               PageBytes);
  StoreSegment(2, ELF::PT_DYNAMIC, ELF::PF_R, Front.Dynamic, Front.End, 8);
  // Without this segment some systems would ask for an executable stack.
  StoreSegment(3, ELF::PT_GNU_STACK, ELF::PF_R | ELF::PF_W, 0, 0, 16);
  Sections.finish(Bytes, Header);
}

Expected<std::vector<ImageSymbol>> readImageSymbols(ArrayRef<uint8_t> Image) {
  auto File = object::ELFFile<object::ELF64LE>::create(toStringRef(Image));
  if (!File)
    return File.takeError();
  auto Sections = File->sections();
  if (!Sections)
    return Sections.takeError();
  std::vector<ImageSymbol> Result;
  for (const auto &Section : *Sections) {
    if (Section.sh_type != ELF::SHT_DYNSYM)
      continue;
    auto Symbols = File->symbols(&Section);
    if (!Symbols)
      return Symbols.takeError();
    auto Strings = File->getStringTableForSymtab(Section);
    if (!Strings)
      return Strings.takeError();
    for (const auto &Symbol : Symbols->drop_front()) {
      auto Name = Symbol.getName(*Strings);
      if (!Name)
        return Name.takeError();
      Result.push_back({Name->str(), Symbol.st_value, Symbol.st_size});
    }
  }
  return Result;
}

Expected<std::vector<uint8_t>> makeObject(ArrayRef<uint8_t> Image,
                                          StringRef SymbolPrefix,
                                          ArrayRef<ObjectData> Data) {
  auto Kernels = readImageSymbols(Image);
  if (!Kernels)
    return Kernels.takeError();
  // An image needs no relocation, so it can be code of the object as it is:
  // its constants travel with it, at the distance the code expects.
  std::vector<uint8_t> Bytes(sizeof(ELF::Elf64_Ehdr));
  SectionTable Sections;
  StringTable Strings;
  std::vector<ELF::Elf64_Sym> Symbols(1);
  uint64_t Offset = append(Bytes, Image, 64);
  ELF::Elf64_Shdr &Code =
      Sections.add(".text.limosa", ELF::SHT_PROGBITS,
                   ELF::SHF_ALLOC | ELF::SHF_EXECINSTR, Offset, Image.size());
  Code.sh_addralign = 64;
  for (const ImageSymbol &Kernel : *Kernels)
    Symbols.push_back(
        makeSymbol(Strings.add((SymbolPrefix + Kernel.Name).str()),
                   ELF::STT_FUNC, static_cast<uint16_t>(Sections.size() - 1),
                   Kernel.Offset, Kernel.Size));
  for (const ObjectData &Blob : Data) {
    uint64_t At = append(Bytes, Blob.Bytes, Blob.Align);
    ELF::Elf64_Shdr &Header =
        Sections.add((".rodata." + Blob.Symbol), ELF::SHT_PROGBITS,
                     ELF::SHF_ALLOC, At, Blob.Bytes.size());
    Header.sh_addralign = Blob.Align;
    Symbols.push_back(makeSymbol(Strings.add(Blob.Symbol), ELF::STT_OBJECT,
                                 static_cast<uint16_t>(Sections.size() - 1), 0,
                                 Blob.Bytes.size()));
  }
  Sections.add(".note.GNU-stack", ELF::SHT_PROGBITS, 0, Bytes.size(), 0);
  ArrayRef<uint8_t> SymbolBytes(
      reinterpret_cast<const uint8_t *>(Symbols.data()),
      Symbols.size() * sizeof(ELF::Elf64_Sym));
  uint64_t SymbolsAt = append(Bytes, SymbolBytes, 8);
  ELF::Elf64_Shdr &SymbolsHeader = Sections.add(".symtab", ELF::SHT_SYMTAB, 0,
                                                SymbolsAt, SymbolBytes.size());
  SymbolsHeader.sh_link = Sections.size();
  SymbolsHeader.sh_info = 1;
  SymbolsHeader.sh_entsize = sizeof(ELF::Elf64_Sym);
  SymbolsHeader.sh_addralign = 8;
  uint64_t StringsAt = append(Bytes, Strings.bytes(), 1);
  Sections.add(".strtab", ELF::SHT_STRTAB, 0, StringsAt,
               Strings.bytes().size());
  ELF::Elf64_Ehdr Header = makeHeader(ELF::ET_REL);
  Sections.finish(Bytes, Header);
  return Bytes;
}

} // namespace limosa
