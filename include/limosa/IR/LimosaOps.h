//===- LimosaOps.h - The ops of the limosa dialect --------------*- C++ -*-===//

#ifndef LIMOSA_IR_LIMOSAOPS_H
#define LIMOSA_IR_LIMOSAOPS_H

#include "limosa/IR/LimosaDialect.h"

#define GET_OP_CLASSES
#include "limosa/IR/LimosaOps.h.inc"

#endif // LIMOSA_IR_LIMOSAOPS_H
