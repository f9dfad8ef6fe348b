//===- ImageLinker.cpp - A small static linker for kernels ----------------===//

#include "limosa/Codegen/ImageLinker.h"
#include "ElfWriter.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Object/ELF.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MathExtras.h"
#include <map>

using namespace llvm;
using namespace llvm::object;
using namespace llvm::support;

namespace limosa {

namespace {

/// A section of an input object that goes into the image.
struct InputSection {
  const ELF64LE::Shdr *Header;
  StringRef Name;
  ArrayRef<uint8_t> Bytes;
  bool Code;
  uint64_t Address = 0;
};

struct InputObject {
  explicit InputObject(ELFFile<ELF64LE> File) : File(std::move(File)) {}
  ELFFile<ELF64LE> File;
  std::map<uint32_t, InputSection> Sections; ///< by section index
  ArrayRef<ELF64LE::Sym> Symbols;
  StringRef Strings;
};

class Linker {
public:
  Expected<std::vector<uint8_t>> link(ArrayRef<ObjectCode> Objects);

private:
  Error read(const ObjectCode &Object);
  Error collectKernels();
  void place(bool Code, uint64_t &End);
  Error copyAndRelocate(ElfImage &Image);
  Error relocate(InputObject &Object, const InputSection &Section,
                 const ELF64LE::Rela &Rela, ElfImage &Image);
  Expected<uint64_t> symbolAddress(InputObject &Object,
                                   const InputSection &From,
                                   const ELF64LE::Sym &Symbol);

  std::vector<InputObject> Inputs;
  struct Definition {
    InputSection *Section;
    uint64_t Value;
    uint64_t Size;
    bool Function;
  };
  std::map<StringRef, Definition> Globals; ///< sorted: the output's order
};

} // namespace

Error Linker::read(const ObjectCode &Object) {
  auto File = ELFFile<ELF64LE>::create(
      StringRef(Object.Bytes.data(), Object.Bytes.size()));
  if (!File)
    return File.takeError();
  InputObject &Input = Inputs.emplace_back(std::move(*File));
  auto Headers = Input.File.sections();
  if (!Headers)
    return Headers.takeError();
  for (const ELF64LE::Shdr &Header : *Headers) {
    if (Header.sh_type == ELF::SHT_SYMTAB) {
      auto Symbols = Input.File.symbols(&Header);
      if (!Symbols)
        return Symbols.takeError();
      auto Strings = Input.File.getStringTableForSymtab(Header);
      if (!Strings)
        return Strings.takeError();
      Input.Symbols = *Symbols;
      Input.Strings = *Strings;
      continue;
    }
    if (!(Header.sh_flags & ELF::SHF_ALLOC) || Header.sh_size == 0)
      continue;
    auto Name = Input.File.getSectionName(Header);
    if (!Name)
      return Name.takeError();
    if (*Name == ".eh_frame") // nothing unwinds through kernels
      continue;
    if (Header.sh_flags & ELF::SHF_WRITE || Header.sh_type != ELF::SHT_PROGBITS)
      return createStringError("a kernel has writable data (section " + *Name +
                               "); kernels may only use constants");
    auto Bytes = Input.File.getSectionContents(Header);
    if (!Bytes)
      return Bytes.takeError();
    Input.Sections[&Header - Headers->begin()] = {
        &Header, *Name, *Bytes, (Header.sh_flags & ELF::SHF_EXECINSTR) != 0};
  }
  return Error::success();
}

Error Linker::collectKernels() {
  for (InputObject &Input : Inputs)
    for (const ELF64LE::Sym &Symbol : Input.Symbols) {
      if (Symbol.getBinding() != ELF::STB_GLOBAL ||
          Symbol.st_shndx == ELF::SHN_UNDEF)
        continue;
      auto Name = Symbol.getName(Input.Strings);
      if (!Name)
        return Name.takeError();
      auto Section = Input.Sections.find(Symbol.st_shndx);
      if (Section == Input.Sections.end())
        return createStringError("symbol " + *Name +
                                 " lies outside code and constants");
      Definition New{&Section->second, Symbol.st_value, Symbol.st_size,
                     Symbol.getType() == ELF::STT_FUNC};
      if (!Globals.try_emplace(*Name, New).second)
        return createStringError("two kernels are called " + *Name);
    }
  return Error::success();
}

void Linker::place(bool Code, uint64_t &End) {
  for (InputObject &Input : Inputs)
    for (auto &[Index, Section] : Input.Sections)
      if (Section.Code == Code) {
        Section.Address =
            alignTo(End, std::max<uint64_t>(Section.Header->sh_addralign, 1));
        End = Section.Address + Section.Bytes.size();
      }
}

Expected<uint64_t> Linker::symbolAddress(InputObject &Object,
                                         const InputSection &From,
                                         const ELF64LE::Sym &Symbol) {
  if (Symbol.st_shndx != ELF::SHN_UNDEF) {
    auto Section = Object.Sections.find(Symbol.st_shndx);
    if (Section != Object.Sections.end())
      return Section->second.Address + Symbol.st_value;
  }
  auto Name = Symbol.getName(Object.Strings);
  if (!Name)
    return Name.takeError();
  auto Found = Globals.find(*Name);
  if (Found != Globals.end())
    return Found->second.Section->Address + Found->second.Value;
  return createStringError("undefined symbol " + *Name + ", used in " +
                           From.Name + ": kernels cannot call libraries");
}

Error Linker::relocate(InputObject &Object, const InputSection &Section,
                       const ELF64LE::Rela &Rela, ElfImage &Image) {
  uint32_t Type = Rela.getType(/*isMips64EL=*/false);
  const ELF64LE::Sym &Symbol = Object.Symbols[Rela.getSymbol(false)];
  auto Target = symbolAddress(Object, Section, Symbol);
  if (!Target)
    return Target.takeError();
  uint64_t Place = Section.Address + Rela.r_offset;
  uint8_t *Bytes = Image.at(Place);
  int64_t Value = static_cast<int64_t>(*Target + Rela.r_addend - Place);
  switch (Type) {
  case ELF::R_X86_64_GOTPCRELX:
  case ELF::R_X86_64_REX_GOTPCRELX:
    // A load of an address from the GOT becomes its computation.
    if (Rela.r_offset < 2 || Bytes[-2] != 0x8b)
      return createStringError("unexpected use of the GOT in " + Section.Name);
    Bytes[-2] = 0x8d; // mov -> lea
    [[fallthrough]];
  case ELF::R_X86_64_PC32:
  case ELF::R_X86_64_PLT32:
    if (!isInt<32>(Value))
      return createStringError("the image is larger than 2 GiB");
    endian::write32le(Bytes, static_cast<uint32_t>(Value));
    return Error::success();
  case ELF::R_X86_64_PC64:
    endian::write64le(Bytes, static_cast<uint64_t>(Value));
    return Error::success();
  default:
    return createStringError("relocation " +
                             getELFRelocationTypeName(ELF::EM_X86_64, Type) +
                             " in " + Section.Name + " needs the load address");
  }
}

Error Linker::copyAndRelocate(ElfImage &Image) {
  for (InputObject &Input : Inputs)
    for (auto &[Index, Section] : Input.Sections)
      llvm::copy(Section.Bytes, Image.at(Section.Address));
  for (InputObject &Input : Inputs) {
    auto Headers = Input.File.sections();
    if (!Headers)
      return Headers.takeError();
    for (const ELF64LE::Shdr &Header : *Headers) {
      auto Section = Input.Sections.find(Header.sh_info);
      if (Header.sh_type != ELF::SHT_RELA || Section == Input.Sections.end())
        continue;
      auto Relas = Input.File.relas(Header);
      if (!Relas)
        return Relas.takeError();
      for (const ELF64LE::Rela &Rela : *Relas)
        if (Error Err = relocate(Input, Section->second, Rela, Image))
          return Err;
    }
  }
  return Error::success();
}

Expected<std::vector<uint8_t>> Linker::link(ArrayRef<ObjectCode> Objects) {
  Inputs.reserve(Objects.size());
  for (const ObjectCode &Object : Objects)
    if (Error Err = read(Object))
      return std::move(Err);
  if (Error Err = collectKernels())
    return std::move(Err);

  std::vector<ElfSymbol> Kernels;
  for (auto &[Name, Global] : Globals)
    if (Global.Function)
      Kernels.push_back({Name.str(), 0, Global.Size});
  uint64_t ConstantsBegin = ElfImage::headerBytes(Kernels);
  uint64_t ConstantsEnd = ConstantsBegin;
  place(/*Code=*/false, ConstantsEnd);
  uint64_t CodeBegin = alignTo(ConstantsEnd, ElfImage::PageBytes);
  uint64_t CodeEnd = CodeBegin;
  place(/*Code=*/true, CodeEnd);
  for (ElfSymbol &Kernel : Kernels) {
    const Definition &Global = Globals.find(StringRef(Kernel.Name))->second;
    Kernel.Address = Global.Section->Address + Global.Value;
  }
  ElfImage Image(std::move(Kernels), ConstantsEnd, CodeBegin, CodeEnd);
  if (Error Err = copyAndRelocate(Image))
    return std::move(Err);
  return Image.take();
}

Expected<std::vector<uint8_t>> linkImage(ArrayRef<ObjectCode> Objects) {
  return Linker().link(Objects);
}

} // namespace limosa
