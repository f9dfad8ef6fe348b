//===- Products.cpp - The templates of contractions and convolutions ------===//

#include "limosa/Codegen/Template.h"

using namespace limosa;
using namespace limosa::codegen;

void codegen::addProductTemplates(TemplateRegistry &) {}
