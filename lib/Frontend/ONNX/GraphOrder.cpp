//===- GraphOrder.cpp - Nodes in the order of what they read --------------===//

#include "Importer.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

/// Names that a graph reads from the graphs around it.
static void collectCaptures(const onnx::GraphProto &Graph,
                            SmallVectorImpl<StringRef> &Out) {
  for (const onnx::NodeProto &N : Graph.node()) {
    for (const std::string &In : N.input())
      Out.push_back(In);
    for (const onnx::AttributeProto &A : N.attribute()) {
      if (A.has_g())
        collectCaptures(A.g(), Out);
      for (const onnx::GraphProto &G : A.graphs())
        collectCaptures(G, Out);
    }
  }
  for (const onnx::ValueInfoProto &O : Graph.output())
    Out.push_back(O.name());
}

std::optional<std::vector<const onnx::NodeProto *>>
limosa::onnximport::sortNodes(
    const google::protobuf::RepeatedPtrField<onnx::NodeProto> &Nodes,
    std::string &Cycle) {
  llvm::StringMap<int> Producer;
  for (int I = 0; I < Nodes.size(); ++I)
    for (const std::string &O : Nodes[I].output())
      if (!O.empty())
        Producer.try_emplace(O, I);
  // Kahn's algorithm; nodes that are ready are taken in the file's order.
  std::vector<std::vector<int>> Users(Nodes.size());
  std::vector<int> Missing(Nodes.size(), 0);
  bool Sorted = true;
  for (int I = 0; I < Nodes.size(); ++I) {
    SmallVector<StringRef> Reads(Nodes[I].input().begin(),
                                 Nodes[I].input().end());
    for (const onnx::AttributeProto &A : Nodes[I].attribute()) {
      if (A.has_g())
        collectCaptures(A.g(), Reads);
      for (const onnx::GraphProto &G : A.graphs())
        collectCaptures(G, Reads);
    }
    llvm::sort(Reads);
    Reads.erase(llvm::unique(Reads), Reads.end());
    for (StringRef R : Reads) {
      auto It = Producer.find(R);
      // A subgraph may give a name of its own to what this node makes.
      if (It == Producer.end() ||
          (It->second == I && !llvm::is_contained(Nodes[I].input(), R)))
        continue;
      Sorted &= It->second < I;
      Users[It->second].push_back(I);
      ++Missing[I];
    }
  }
  std::vector<const onnx::NodeProto *> Order;
  if (Sorted) {
    for (const onnx::NodeProto &N : Nodes)
      Order.push_back(&N);
    return Order;
  }
  std::vector<int> Heap; // smallest index first
  auto Later = std::greater<int>();
  for (int I = 0; I < Nodes.size(); ++I)
    if (Missing[I] == 0)
      Heap.push_back(I);
  std::make_heap(Heap.begin(), Heap.end(), Later);
  while (!Heap.empty()) {
    std::pop_heap(Heap.begin(), Heap.end(), Later);
    int I = Heap.back();
    Heap.pop_back();
    Order.push_back(&Nodes[I]);
    for (int U : Users[I])
      if (--Missing[U] == 0) {
        Heap.push_back(U);
        std::push_heap(Heap.begin(), Heap.end(), Later);
      }
  }
  if (int(Order.size()) == Nodes.size())
    return Order;
  for (int I = 0; I < Nodes.size(); ++I)
    if (Missing[I] > 0) {
      Cycle = Nodes[I].name().empty() && Nodes[I].output_size()
                  ? Nodes[I].output(0)
                  : Nodes[I].name();
      break;
    }
  return std::nullopt;
}
