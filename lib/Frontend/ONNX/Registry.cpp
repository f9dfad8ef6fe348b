//===- Registry.cpp - The table of ONNX operators -------------------------===//

#include "Registry.h"
#include "Tensors.h"
#include "limosa/Support/DType.h"
#include "llvm/ADT/StringMap.h"

using namespace limosa;
using llvm::ArrayRef;
using llvm::raw_ostream;
using llvm::StringMap;
using namespace limosa::onnximport;

ArrayRef<OpFamily> limosa::onnximport::allOps() {
  static const OpFamily Families[] = {
      {elementwiseOps()},   {activationOps()},
      {shapeOps()},         {dataOps()},
      {gatherOps()},        {selectOps()},
      {matmulOps()},        {convOps()},
      {poolOps()},          {normOps()},
      {reduceOps()},        {recurrentOps()},
      {resizeOps()},        {gridOps()},
      {fourierOps()},       {controlOps(), "program"},
      {quantizeOps()},      {attentionOps()},
      {randomOps()},        {sequenceOps(), "import"},
      {castOps()},          {lossOps()},
      {stateSpaceOps()},    {flexAttentionOps()},
      {detectionOps()},     {deformConvOps()},
      {linearAlgebraOps()}, {hostOps(), "host"},
      {labelOps()},         {supportVectorOps()},
      {treeOps()},          {machineLearningOps()},
      {tfIdfOps()},         {quantizeContribOps()},
      {transformerOps()},   {groupQueryOps()}};
  return Families;
}

/// Rows of each operator, newest first.
static const StringMap<SmallVector<const OpEntry *, 2>> &index() {
  static const auto *Index = [] {
    auto *Map = new StringMap<SmallVector<const OpEntry *, 2>>();
    for (const OpFamily &Family : allOps())
      for (const OpEntry &E : Family.Ops)
        (*Map)[(E.Domain + ":" + E.Op).str()].push_back(&E);
    for (auto &Rows : *Map)
      llvm::sort(Rows.second, [](const OpEntry *A, const OpEntry *B) {
        return A->Since > B->Since;
      });
    return Map;
  }();
  return *Index;
}

static const SmallVector<const OpEntry *, 2> *rowsOf(StringRef Domain,
                                                     StringRef Op) {
  if (Domain == "ai.onnx")
    Domain = "";
  auto It = index().find((Domain + ":" + Op).str());
  return It == index().end() ? nullptr : &It->second;
}

const OpEntry *limosa::onnximport::findOp(StringRef Domain, StringRef Op,
                                          int64_t Opset) {
  if (auto *Rows = rowsOf(Domain, Op))
    for (const OpEntry *E : *Rows)
      if (E->Since <= Opset)
        return E;
  return nullptr;
}

std::optional<int64_t> limosa::onnximport::lowestVersion(StringRef Domain,
                                                         StringRef Op) {
  auto *Rows = rowsOf(Domain, Op);
  return Rows ? std::optional(Rows->back()->Since) : std::nullopt;
}

uint8_t limosa::onnximport::typeClass(Type T) {
  if (isCarried(T))
    return CarriedTypes;
  if (isa<StringType>(T))
    return Strings;
  DType D = getDType(T);
  if (D == DType::Bool)
    return Bools;
  if (dtypeBits(D) < 8 || (isFloat(D) && dtypeBits(D) == 8))
    return StorageTypes;
  switch (dtypeClass(D)) {
  case DTypeClass::Float:
    return Floats;
  case DTypeClass::Signed:
    return SignedInts;
  case DTypeClass::Unsigned:
    return UnsignedInts;
  case DTypeClass::Bool:
  case DTypeClass::String:
    break;
  }
  return Bools;
}

static std::string typesText(uint8_t Types) {
  if ((Types & Sequences) && !(Types & AnyType))
    return "sequence";
  SmallVector<StringRef> Parts;
  if ((Types & AnyType) == AnyType) {
    Parts.push_back("any");
    Types &= ~AnyType;
  }
  if (Types & Floats)
    Parts.push_back("float");
  if ((Types & Integers) == Integers)
    Parts.push_back("integer");
  else if (Types & SignedInts)
    Parts.push_back("signed");
  else if (Types & UnsignedInts)
    Parts.push_back("unsigned");
  if (Types & Bools)
    Parts.push_back("bool");
  if (Types & StorageTypes)
    Parts.push_back("fp8, 4-bit");
  if (Types & CarriedTypes)
    Parts.push_back("2-bit, fp8e8m0");
  if (Types & Strings)
    Parts.push_back("string");
  return llvm::join(Parts, ", ");
}

void limosa::printOnnxOperators(raw_ostream &OS) {
  OS << "# ONNX operators\n\n"
        "What the front end imports: generated from its table by `limosa-opt "
        "--onnx-operators`. Types are those\nof the first input; an operator "
        "that is older than its row is refused with the version it needs.\n\n"
        "`kernel`: in compiled kernels, also by way of a composite that a "
        "device "
        "may claim; `program`: control flow of the\nprogram; `import`: "
        "followed "
        "while importing, nothing of it is left to run; `host`: "
        "by a library\nof the host (host/), since it reads the text of strings "
        "or the pixels of pictures. Casts from and to\nstrings and the order "
        "of strings in Unique are of the host as well.\n\n"
        "| Domain | Operator | From opset | Types | Executor |\n"
        "|---|---|---|---|---|\n";
  llvm::StringMap<StringRef> Executors;
  for (const OpFamily &Family : allOps())
    for (const OpEntry &E : Family.Ops)
      Executors[(E.Domain + ":" + E.Op).str()] = Family.Executor;
  SmallVector<StringRef> Keys;
  for (const auto &Rows : index())
    Keys.push_back(Rows.first());
  llvm::sort(Keys);
  for (StringRef Key : Keys) {
    const auto &Rows = index().find(Key)->second;
    if (Rows.back()->Since == 0)
      continue; // what others are made of
    OS << "| " << (Rows[0]->Domain.empty() ? "ai.onnx" : Rows[0]->Domain)
       << " | " << Rows[0]->Op << " | " << Rows.back()->Since << " | "
       << typesText(Rows[0]->Types | (Rows[0]->MoreStrings ? Strings : 0))
       << " | " << Executors[Key] << " |\n";
  }
}
