//===- Irregular.cpp - Sort, scan, scatter, compact, random bits
//-----------===//

#include "limosa/Codegen/Template.h"

using namespace limosa;
using namespace limosa::codegen;

void codegen::addIrregularTemplates(TemplateRegistry &) {}
