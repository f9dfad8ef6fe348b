//===- Products.cpp - The templates of contractions and convolutions ------===//

#include "Products.h"

using namespace limosa;
using namespace limosa::codegen;

void codegen::addProductTemplates(TemplateRegistry &Registry) {
  Registry.add({"contract", matchContract, emitContract});
  Registry.add({"attention", matchAttention, emitAttention});
  Registry.add({"conv", matchConv, emitConv});
  Registry.add({"winograd", matchWinograd, emitWinograd});
  Registry.add({"depthwise", matchDepthwise, emitDepthwise});
  Registry.add({"expand-depthwise", matchExpandDepthwise, emitExpandDepthwise});
}
