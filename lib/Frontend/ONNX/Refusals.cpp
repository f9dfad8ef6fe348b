//===- Refusals.cpp - What of a model cannot be imported, and why ---------===//

#include "Importer.h"
#include "Registry.h"
#include "limosa/Runtime/OperatorAttributes.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

/// Refusals that the error lists.
static constexpr size_t MaxListed = 200;

void Importer::refuse(const onnx::NodeProto &N, int64_t Version,
                      const Twine &Reason) {
  if (!Refused.insert(&N).second)
    return;
  std::string Name = N.name();
  if (Name.empty() && N.output_size())
    Name = "-> " + N.output(0);
  Refusals.push_back({Name, N.op_type(), N.domain(), Reason.str(), Version});
}

LogicalResult Importer::attempt(llvm::function_ref<LogicalResult()> Do) {
  size_t Before = Refusals.size();
  auto RefusedBefore = Refused;
  if (succeeded(Do()))
    return success();
  if (!Fatal.empty())
    return failure();
  Refusals.resize(Before);
  Refused = std::move(RefusedBefore);
  return failure();
}

std::string Importer::refusalMessage() const {
  std::string Text;
  llvm::raw_string_ostream OS(Text);
  OS << Refusals.size() << (Refusals.size() == 1 ? " node" : " nodes")
     << " cannot be imported:";
  for (const Refusal &R : ArrayRef(Refusals).take_front(MaxListed)) {
    OS << "\n  " << R.Op << " '" << R.Name << "' (";
    if (!R.Domain.empty() && R.Domain != "ai.onnx")
      OS << R.Domain << ", ";
    OS << "version " << R.Version << "): " << R.Reason;
  }
  if (Refusals.size() > MaxListed)
    OS << "\n  ... and " << Refusals.size() - MaxListed << " more";
  if (llvm::any_of(Refusals, [](const Refusal &R) {
        return R.Reason == UnknownOperator;
      }))
    OS << "\n  If an operator is your own, "
       << StringRef(runtime::HowToRegister);
  return Text;
}

/// The operators inside of a node's graphs that have no translation: they are
/// listed even though the node itself is not imported.
void Importer::refuseUnknownInside(const onnx::NodeProto &N, Frame &F) {
  auto Visit = [&](const onnx::GraphProto &G, auto &Self) -> void {
    for (const onnx::NodeProto &Inner : G.node()) {
      int64_t Version = F.opset(Inner.domain());
      std::array<std::string, 3> Key{Inner.domain(), Inner.op_type(),
                                     Inner.overload()};
      if (!Functions.count(Key) && !findCustom(Inner, Version) &&
          !findOp(Inner.domain(), Inner.op_type(), Version))
        refuse(Inner, Version, UnknownOperator);
      for (const onnx::AttributeProto &A : Inner.attribute())
        if (A.has_g())
          Self(A.g(), Self);
    }
  };
  for (const onnx::AttributeProto &A : N.attribute())
    if (A.has_g())
      Visit(A.g(), Visit);
}
