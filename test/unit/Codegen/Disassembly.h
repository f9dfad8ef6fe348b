//===- Disassembly.h - What the machine code looks like ---------*- C++ -*-===//
//
// Lets tests state what a hot loop must be made of: no spills, broadcasts
// folded into the multiply-adds.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_TEST_UNIT_CODEGEN_DISASSEMBLY_H
#define LIMOSA_TEST_UNIT_CODEGEN_DISASSEMBLY_H

#include "limosa/Codegen/TargetInfo.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <string>
#include <vector>

namespace limosa::test {

struct Instruction {
  uint64_t Offset;  ///< from the kernel's start
  std::string Text; ///< Intel syntax, one space between words
  bool Branch;      ///< a direct jump, conditional or not
  uint64_t Target;  ///< of a branch, as an offset
};

/// Instructions of a kernel. Fails a test on bytes that are none.
std::vector<Instruction> disassemble(llvm::ArrayRef<uint8_t> Code);

/// The innermost loops: the instructions from the target of each backward
/// branch to the branch, where no other backward branch lies between.
std::vector<std::vector<Instruction>>
innermostLoops(llvm::ArrayRef<Instruction> Code);

/// How many of the instructions contain `Word`, e.g. "vfmadd" or "{1to16}".
unsigned countMatching(llvm::ArrayRef<Instruction> Code, llvm::StringRef Word);

/// Vector stores to and loads from the stack (rsp- or rbp-relative).
unsigned countSpills(llvm::ArrayRef<Instruction> Code);

} // namespace limosa::test

#endif // LIMOSA_TEST_UNIT_CODEGEN_DISASSEMBLY_H
