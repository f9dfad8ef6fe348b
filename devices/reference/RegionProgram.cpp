//===- RegionProgram.cpp - Regions over scalars, many lanes at once -------===//

#include "RegionProgram.h"

#include "Strided.h"

#include <cstring>

using namespace limosa;
using namespace limosa::reference;

static DType laneType(DType T, bool WidenFloats) {
  bool Wide =
      WidenFloats && (T == DType::F16 || T == DType::BF16 || T == DType::F32);
  return Wide ? DType::F64 : T;
}

uint32_t RegionProgram::addRegister(DType T) {
  Registers.push_back({T, int64_t(Memory.size())});
  Memory.resize(Memory.size() + size_t(MaxLanes * elementBytes(T)));
  return uint32_t(Registers.size() - 1);
}

void RegionProgram::fill(uint32_t R, DType From, const uint8_t *Element) {
  uint8_t Converted[8];
  convertElements(From, Element, Registers[R].Type, Converted, 1);
  fillElements(memory(R), Converted, MaxLanes, elementBytes(Registers[R].Type));
}

Status RegionProgram::compile(OpContext &C, unsigned R, std::vector<DType> Args,
                              std::vector<DType> Results, bool WidenFloats,
                              RegionProgram &Out) {
  const limosa_graph_api &Api = C.Api;
  if (R >= C.regionCount())
    return C.fail("has no region " + std::to_string(R));
  const limosa_region *Region = C.region(R);
  auto Check = [&](uint32_t Value, DType T) {
    return Api.value_rank(C.Graph, Value) == 0 &&
           DType(Api.value_dtype(C.Graph, Value)) == T;
  };
  bool Ok = Api.region_arg_count(Region) == Args.size() &&
            Api.region_result_count(Region) == Results.size();
  for (uint32_t I = 0; Ok && I < Args.size(); ++I)
    Ok = Check(Api.region_arg(Region, I), Args[I]);
  for (uint32_t I = 0; Ok && I < Results.size(); ++I)
    Ok = Check(Api.region_result(Region, I), Results[I]);
  if (!Ok)
    return C.fail("the arguments or results of its region are not rank-0 "
                  "tensors of the dtypes it combines");
  bool Possible = true;
  Out = RegionProgram();
  Out.C = &C;
  Out.Region = Region;
  LIMOSA_TRY(Out.build(WidenFloats, Possible));
  if (Possible)
    return Status();
  Out = RegionProgram();
  Out.C = &C;
  Out.Region = Region;
  if (WidenFloats) {
    Possible = true;
    LIMOSA_TRY(Out.build(false, Possible));
    if (Possible)
      return Status();
    Out = RegionProgram();
    Out.C = &C;
    Out.Region = Region;
  }
  Out.Fallback = true;
  for (DType T : Args)
    Out.ArgRegisters.push_back(Out.addRegister(T));
  for (DType T : Results)
    Out.ResultRegisters.push_back(Out.addRegister(T));
  return Status();
}

std::optional<uint32_t> RegionProgram::find(uint32_t Value, bool WidenFloats) {
  auto It = RegisterOf.find(Value);
  if (It != RegisterOf.end())
    return It->second;
  // From outside the region: the same for all lanes.
  const Tensor &Outer = C->F.value(Value);
  if (!Outer || Outer.rank() != 0)
    return std::nullopt;
  uint32_t R = addRegister(laneType(Outer.dtype(), WidenFloats));
  RegisterOf.emplace(Value, R);
  fill(R, Outer.dtype(), Outer.data());
  return R;
}

/// `Possible` becomes false if the region is not one of elementwise ops.
Status RegionProgram::build(bool WidenFloats, bool &Possible) {
  const limosa_graph_api &Api = C->Api;
  for (uint32_t I = 0; I < Api.region_arg_count(Region); ++I) {
    uint32_t Value = Api.region_arg(Region, I);
    DType T = DType(Api.value_dtype(C->Graph, Value));
    ArgRegisters.push_back(addRegister(laneType(T, WidenFloats)));
    RegisterOf[Value] = ArgRegisters.back();
  }
  for (uint32_t I = 0; Possible && I < Api.region_op_count(Region); ++I) {
    OpContext Inner(C->F, Api.region_op(Region, I));
    LIMOSA_TRY(addStep(Inner, WidenFloats, Possible));
  }
  for (uint32_t I = 0; Possible && I < Api.region_result_count(Region); ++I) {
    auto R = find(Api.region_result(Region, I), WidenFloats);
    if (!R)
      Possible = false;
    else
      ResultRegisters.push_back(*R);
  }
  return Status();
}

Status RegionProgram::addStep(OpContext &Inner, bool WidenFloats,
                              bool &Possible) {
  const limosa_graph_api &Api = C->Api;
  std::string_view Name = Inner.name();
  if (Inner.resultCount() != 1 || Inner.regionCount() != 0 ||
      Inner.operandCount() > 3 ||
      !isImplemented(Name, Api.op_version(Inner.Op))) {
    Possible = false;
    return Status();
  }
  uint32_t Value = Api.op_result(Inner.Op, 0);
  DType Declared = Inner.resultType(0);
  if (Api.value_rank(C->Graph, Value) != 0) {
    Possible = false;
    return Status();
  }
  if (Name == "constant") {
    const limosa_attr *A = Api.op_find_attr(Inner.Op, "value");
    uint64_t Bytes = 0;
    const void *Data = A ? Api.attr_data(C->Graph, A, &Bytes) : nullptr;
    if (!Data || int64_t(Bytes) != dtypeBytes(Declared, 1)) {
      Possible = false; // the op itself says what is wrong
      return Status();
    }
    Tensor Scalar = Tensor::fromPacked(Declared, {}, Data);
    if (!Scalar)
      return C->fail(LIMOSA_STATUS_OUT_OF_MEMORY, "no memory");
    uint32_t R = addRegister(laneType(Declared, WidenFloats));
    RegisterOf[Value] = R;
    fill(R, Declared, Scalar.data());
    return Status();
  }
  Step S{Name, {}, nullptr, {}, Inner.operandCount(), 0};
  for (unsigned I = 0; I < S.OperandCount; ++I) {
    auto R = find(Api.op_operand(Inner.Op, I), WidenFloats);
    if (!R) {
      Possible = false;
      return Status();
    }
    S.Operands[I] = *R;
  }
  auto Type = [&](unsigned I) { return Registers[S.Operands[I]].Type; };
  DType T = laneType(Declared, WidenFloats);
  if (S.OperandCount == 1 && (Name == "reshape" || Name == "broadcast" ||
                              Name == "transpose" || Name == "relayout")) {
    // Of rank 0 on both sides: the value itself.
    RegisterOf[Value] = S.Operands[0];
    Possible = Type(0) == T;
    return Status();
  }
  if (S.OperandCount == 1 && Name == "convert") {
    // A conversion to a narrower float must round.
    Possible = !WidenFloats || !isFloat(Declared) || Declared == DType::F64;
  } else if (S.OperandCount == 1) {
    S.Loop = Type(0) == T ? findUnary(Name, T) : nullptr;
    Possible = S.Loop;
  } else if (S.OperandCount == 2 && Name == "compare") {
    LIMOSA_TRY(Inner.attr("direction", S.Direction));
    S.Loop = Type(0) == Type(1) && T == DType::Bool
                 ? findCompare(S.Direction, Type(0))
                 : nullptr;
    Possible = S.Loop;
  } else if (S.OperandCount == 2) {
    S.Loop = Type(0) == T && Type(1) == T ? findBinary(Name, T) : nullptr;
    Possible = S.Loop;
  } else if (S.OperandCount == 3 && Name == "select") {
    S.Loop = Type(0) == DType::Bool && Type(1) == T && Type(2) == T
                 ? findSelect(T)
                 : nullptr;
    Possible = S.Loop;
  } else {
    Possible = false;
  }
  if (!Possible)
    return Status();
  S.Result = addRegister(T);
  RegisterOf[Value] = S.Result;
  Steps.push_back(S);
  return Status();
}

Status RegionProgram::run(int64_t Lanes) {
  if (Fallback)
    return runFallback(Lanes);
  for (const Step &S : Steps) {
    if (!S.Loop) {
      convertElements(Registers[S.Operands[0]].Type, memory(S.Operands[0]),
                      Registers[S.Result].Type, memory(S.Result), Lanes);
      continue;
    }
    const void *Operands[3];
    for (unsigned I = 0; I < S.OperandCount; ++I)
      Operands[I] = memory(S.Operands[I]);
    S.Loop(Operands, memory(S.Result), Lanes);
  }
  return Status();
}

Status RegionProgram::runFallback(int64_t Lanes) {
  for (int64_t Lane = 0; Lane < Lanes; ++Lane) {
    std::vector<Tensor> Args, Results;
    for (uint32_t R : ArgRegisters) {
      Tensor T;
      LIMOSA_TRY(C->make(Registers[R].Type, {}, T));
      std::memcpy(T.data(), memory(R) + Lane * T.bytes(), size_t(T.bytes()));
      Args.push_back(std::move(T));
    }
    LIMOSA_TRY(C->F.runRegion(Region, std::move(Args), Results));
    for (size_t I = 0; I < Results.size(); ++I)
      std::memcpy(memory(ResultRegisters[I]) + Lane * Results[I].bytes(),
                  Results[I].data(), size_t(Results[I].bytes()));
  }
  return Status();
}

std::string_view RegionProgram::combinerOf(unsigned I, unsigned A,
                                           unsigned B) const {
  if (Fallback)
    return {};
  for (const Step &S : Steps) {
    if (S.Result != ResultRegisters[I] || S.OperandCount != 2 ||
        S.Op == "compare")
      continue;
    uint32_t X = ArgRegisters[A], Y = ArgRegisters[B];
    if ((S.Operands[0] == X && S.Operands[1] == Y) ||
        (S.Operands[0] == Y && S.Operands[1] == X))
      return S.Op;
  }
  return {};
}

std::string_view RegionProgram::comparisonOf(unsigned A, unsigned B) const {
  if (Fallback || ResultRegisters.size() != 1)
    return {};
  for (const Step &S : Steps)
    if (S.Result == ResultRegisters[0] && S.Op == "compare" &&
        S.Operands[0] == ArgRegisters[A] && S.Operands[1] == ArgRegisters[B])
      return S.Direction;
  return {};
}
