//===- Disassembly.cpp - What the machine code looks like -----------------===//

#include "Disassembly.h"
#include "llvm/MC/MCAsmInfo.h"
#include "llvm/MC/MCContext.h"
#include "llvm/MC/MCDisassembler/MCDisassembler.h"
#include "llvm/MC/MCInst.h"
#include "llvm/MC/MCInstPrinter.h"
#include "llvm/MC/MCInstrInfo.h"
#include "llvm/MC/MCRegisterInfo.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/MCTargetOptions.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include <gtest/gtest.h>

using namespace llvm;

namespace limosa::test {

std::vector<Instruction> disassemble(ArrayRef<uint8_t> Code) {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86Disassembler();
  Triple TheTriple("x86_64-unknown-linux-gnu");
  std::string Message;
  const Target *T = TargetRegistry::lookupTarget(TheTriple, Message);
  std::unique_ptr<MCRegisterInfo> Registers(T->createMCRegInfo(TheTriple));
  std::unique_ptr<MCAsmInfo> Syntax(
      T->createMCAsmInfo(*Registers, TheTriple, MCTargetOptions()));
  std::unique_ptr<MCSubtargetInfo> Subtarget(T->createMCSubtargetInfo(
      TheTriple, "sapphirerapids", "+avx512f,+avx512vl"));
  std::unique_ptr<MCInstrInfo> Opcodes(T->createMCInstrInfo());
  MCContext Context(TheTriple, Syntax.get(), Registers.get(), Subtarget.get());
  std::unique_ptr<MCDisassembler> Decoder(
      T->createMCDisassembler(*Subtarget, Context));
  std::unique_ptr<MCInstPrinter> Printer(T->createMCInstPrinter(
      TheTriple, /*SyntaxVariant=*/1, *Syntax, *Opcodes, *Registers));

  std::vector<Instruction> Result;
  for (uint64_t Offset = 0; Offset < Code.size();) {
    MCInst Inst;
    uint64_t Size = 0;
    if (Decoder->getInstruction(Inst, Size, Code.drop_front(Offset), Offset,
                                nulls()) != MCDisassembler::Success) {
      ADD_FAILURE() << "not an instruction at offset " << Offset;
      return Result;
    }
    std::string Text;
    raw_string_ostream Stream(Text);
    Printer->printInst(&Inst, 0, "", *Subtarget, Stream);
    for (char &C : Text)
      if (C == '\t')
        C = ' ';
    Instruction Next = {Offset, StringRef(Text).trim().str(), false, 0};
    if (Opcodes->get(Inst.getOpcode()).isBranch() &&
        Inst.getNumOperands() > 0 && Inst.getOperand(0).isImm()) {
      Next.Branch = true;
      Next.Target = Offset + Size + Inst.getOperand(0).getImm();
    }
    Result.push_back(std::move(Next));
    Offset += Size;
  }
  return Result;
}

std::vector<std::vector<Instruction>>
innermostLoops(ArrayRef<Instruction> Code) {
  std::vector<std::vector<Instruction>> Result;
  for (auto [I, Branch] : enumerate(Code)) {
    if (!Branch.Branch || Branch.Target > Branch.Offset)
      continue;
    size_t First = I;
    while (First > 0 && Code[First].Offset > Branch.Target)
      --First;
    ArrayRef<Instruction> Body = Code.slice(First, I - First + 1);
    bool HasInner = any_of(Body.drop_back(), [](const Instruction &Inner) {
      return Inner.Branch && Inner.Target <= Inner.Offset;
    });
    if (!HasInner)
      Result.push_back(Body.vec());
  }
  return Result;
}

unsigned countMatching(ArrayRef<Instruction> Code, StringRef Word) {
  return count_if(Code, [&](const Instruction &Inst) {
    return StringRef(Inst.Text).contains(Word);
  });
}

unsigned countSpills(ArrayRef<Instruction> Code) {
  return count_if(Code, [](const Instruction &Inst) {
    StringRef Text = Inst.Text;
    return (Text.contains("[rsp") || Text.contains("[rbp")) &&
           (Text.contains("mm") && Text.starts_with("v"));
  });
}

} // namespace limosa::test
