//===- ModelObject.cpp - A compiled model as an object to link ------------===//

#include "ModelObject.h"

#include "limosa/Codegen/ImageLinker.h"
#include "limosa/Runtime/LimFile.h"
#include "limosa/Schema/program_generated.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Support/MathExtras.h"

#include <cstring>

using namespace llvm::ELF;

namespace limosa {
namespace {

constexpr uint64_t Alignment = 4096;

/// A table of names; offset 0 is the empty one.
struct StringTable {
  std::string Text = std::string(1, '\0');
  uint32_t add(const std::string &S) {
    uint32_t At = Text.size();
    Text += S;
    Text += '\0';
    return At;
  }
};

template <typename T> void append(std::vector<uint8_t> &Out, const T &Value) {
  auto *Bytes = reinterpret_cast<const uint8_t *>(&Value);
  Out.insert(Out.end(), Bytes, Bytes + sizeof(T));
}

Elf64_Sym symbol(uint32_t Name, uint8_t Type, uint64_t Value, uint64_t Size) {
  Elf64_Sym S = {};
  S.st_name = Name;
  S.setBindingAndType(STB_GLOBAL, Type);
  S.st_shndx = 1;
  S.st_value = Value;
  S.st_size = Size;
  return S;
}

} // namespace

llvm::Expected<std::vector<uint8_t>>
makeModelObject(llvm::ArrayRef<uint8_t> Lim, const std::string &Name) {
  runtime::LimHeader Header;
  std::memcpy(&Header, Lim.data(), sizeof(Header));
  const fb::Program *Program =
      fb::GetProgram(Lim.data() + runtime::LimHeaderSize);

  StringTable Names;
  std::vector<Elf64_Sym> Symbols(1);
  uint64_t SizeAt = llvm::alignTo(Lim.size(), 8);
  Symbols.push_back(symbol(Names.add(Name), STT_OBJECT, 0, Lim.size()));
  Symbols.push_back(symbol(Names.add(Name + "_size"), STT_OBJECT, SizeAt, 8));
  if (Program->executables())
    for (const fb::Executable *E : *Program->executables()) {
      if (E->format()->string_view() != "elf-x86_64-linked")
        continue;
      uint64_t At = Header.CodeOffset + E->offset();
      auto Kernels = readImageSymbols(Lim.slice(At, E->size()));
      if (!Kernels)
        return Kernels.takeError();
      for (const ImageSymbol &K : *Kernels)
        Symbols.push_back(symbol(Names.add(Name + "_" + K.Name), STT_FUNC,
                                 At + K.Offset, K.Size));
    }

  StringTable Sections;
  uint32_t ModelName = Sections.add(".limosa_model");
  uint32_t SymbolsName = Sections.add(".symtab");
  uint32_t NamesName = Sections.add(".strtab");
  uint32_t SectionsName = Sections.add(".shstrtab");
  uint32_t StackName = Sections.add(".note.GNU-stack");

  std::vector<uint8_t> Out(Alignment);
  Elf64_Shdr Headers[6] = {};
  auto Begin = [&](Elf64_Shdr &S, uint32_t SectionName, uint32_t Type,
                   uint64_t Align) {
    Out.resize(llvm::alignTo(Out.size(), Align));
    S.sh_name = SectionName;
    S.sh_type = Type;
    S.sh_offset = Out.size();
    S.sh_addralign = Align;
  };
  auto End = [&](Elf64_Shdr &S) { S.sh_size = Out.size() - S.sh_offset; };

  Begin(Headers[1], ModelName, SHT_PROGBITS, Alignment);
  Headers[1].sh_flags = SHF_ALLOC | SHF_EXECINSTR;
  Out.insert(Out.end(), Lim.begin(), Lim.end());
  Out.resize(Headers[1].sh_offset + SizeAt);
  append(Out, uint64_t(Lim.size()));
  End(Headers[1]);

  Begin(Headers[2], SymbolsName, SHT_SYMTAB, 8);
  Headers[2].sh_link = 3;
  Headers[2].sh_info = 1; // the first global symbol
  Headers[2].sh_entsize = sizeof(Elf64_Sym);
  for (const Elf64_Sym &S : Symbols)
    append(Out, S);
  End(Headers[2]);

  Begin(Headers[3], NamesName, SHT_STRTAB, 1);
  Out.insert(Out.end(), Names.Text.begin(), Names.Text.end());
  End(Headers[3]);
  Begin(Headers[4], SectionsName, SHT_STRTAB, 1);
  Out.insert(Out.end(), Sections.Text.begin(), Sections.Text.end());
  End(Headers[4]);
  Begin(Headers[5], StackName, SHT_PROGBITS, 1);
  End(Headers[5]);

  Out.resize(llvm::alignTo(Out.size(), 8));
  Elf64_Ehdr E = {};
  std::memcpy(E.e_ident, ElfMagic, 4);
  E.e_ident[EI_CLASS] = ELFCLASS64;
  E.e_ident[EI_DATA] = ELFDATA2LSB;
  E.e_ident[EI_VERSION] = EV_CURRENT;
  E.e_type = ET_REL;
  E.e_machine = EM_X86_64;
  E.e_version = EV_CURRENT;
  E.e_shoff = Out.size();
  E.e_ehsize = sizeof(E);
  E.e_shentsize = sizeof(Elf64_Shdr);
  E.e_shnum = std::size(Headers);
  E.e_shstrndx = 4;
  std::memcpy(Out.data(), &E, sizeof(E));
  for (const Elf64_Shdr &S : Headers)
    append(Out, S);
  return Out;
}

} // namespace limosa
