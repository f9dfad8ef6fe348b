//===- Symbols.cpp - The module's symbols ---------------------------------===//

#include "limosa/IR/Symbols.h"

using namespace mlir;
using namespace limosa;

SymbolAttr limosa::getSymbolInfo(ModuleOp Module, StringRef Name) {
  if (auto Dict = Module->getAttrOfType<DictionaryAttr>(SymbolsAttrName))
    if (auto Info = Dict.getAs<SymbolAttr>(Name))
      return Info;
  return SymbolAttr::get(Module.getContext(), 0, INT64_MAX, 1, "");
}

void limosa::setSymbolInfo(ModuleOp Module, StringRef Name, SymbolAttr Info) {
  NamedAttrList List;
  if (auto Dict = Module->getAttrOfType<DictionaryAttr>(SymbolsAttrName))
    List.append(Dict.begin(), Dict.end());
  List.set(Name, Info);
  Module->setAttr(SymbolsAttrName, List.getDictionary(Module.getContext()));
}

std::string limosa::makeFreshSymbol(ModuleOp Module, StringRef Hint,
                                    SymbolAttr Info) {
  auto Dict = Module->getAttrOfType<DictionaryAttr>(SymbolsAttrName);
  std::string Name = Hint.str();
  for (unsigned N = 0; Dict && Dict.contains(Name); ++N)
    Name = Hint.str() + "_" + std::to_string(N);
  setSymbolInfo(Module, Name, Info);
  return Name;
}
