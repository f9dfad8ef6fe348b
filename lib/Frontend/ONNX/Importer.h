//===- Importer.h - The walk over an ONNX model -----------------*- C++ -*-===//
//
// One Importer imports one model. Handlers (Registry.h) see it through Node.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_LIB_FRONTEND_ONNX_IMPORTER_H
#define LIMOSA_LIB_FRONTEND_ONNX_IMPORTER_H

#include "InputSpec.h"
#include "Known.h"
#include "ModelFile.h"
#include "limosa/Frontend/ImportOnnx.h"
#include "limosa/IR/CoreBuilder.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringSet.h"

namespace limosa::onnximport {

class Node;

struct Sequence;

/// The bytes behind a tensor of floats; scale and zero point (null: none) are
/// scalars or vectors along Axis.
struct Dequantised {
  mlir::Value V, Scale, ZeroPoint;
  int64_t Axis = 0;
};

/// A named tensor of the model. It becomes IR when something asks for its
/// value: constants that nothing reads and shapes that are known leave none.
struct Tensor {
  mlir::RankedTensorType Type; ///< Null: what makes it could not be imported.
  mlir::Value V;
  mlir::ElementsAttr Const;
  KnownRef Known;
  std::shared_ptr<const Dequantised> Quantised; ///< null: V is all there is
  bool KnownTried = false; ///< Const has been looked at for Known.
  /// A sequence instead; then there is no type and no value.
  std::shared_ptr<const Sequence> Seq;
  /// An optional without a value. One that has a value is that value.
  bool Absent = false;

  static Tensor of(mlir::Value V) {
    Tensor T;
    T.Type = mlir::cast<mlir::RankedTensorType>(V.getType());
    T.V = V;
    return T;
  }
  static Tensor of(mlir::ElementsAttr A) {
    Tensor T;
    T.Type = mlir::cast<mlir::RankedTensorType>(A.getShapedType());
    T.Const = A;
    return T;
  }
  /// V with the element type that it carries.
  static Tensor of(mlir::Value V, mlir::Type Carried) {
    Tensor T = of(V);
    T.Type = T.Type.clone(Carried);
    return T;
  }
  static Tensor of(mlir::ElementsAttr A, mlir::Type Carried) {
    Tensor T = of(A);
    T.Type = T.Type.clone(Carried);
    return T;
  }
  static Tensor of(KnownRef K, mlir::Type ElementType);
  static Tensor of(Sequence S);
  static Tensor absent() {
    Tensor T;
    T.Absent = true;
    return T;
  }
  explicit operator bool() const { return Type || Seq || Absent; }
};

/// A list of tensors. It exists only while importing: what reads it reads the
/// tensors themselves.
struct Sequence {
  /// One tensor, or a run: a tensor's slices along its first dimension.
  struct Part {
    Tensor T;
    bool Run = false;
  };
  llvm::SmallVector<Part, 2> Parts;
  /// Parts follow what this state of the loop being imported holds.
  std::optional<unsigned> Carried;
};

/// Names that are visible: those of a graph and of the graphs around it.
struct Frame {
  using Attributes = llvm::StringMap<const onnx::AttributeProto *>;
  Frame *Parent = nullptr;
  const llvm::StringMap<int64_t> *Opsets = nullptr;
  /// Attributes of the function that is being expanded.
  const Attributes *FunctionAttrs = nullptr;
  llvm::StringMap<Tensor> Names;

  Tensor *find(llvm::StringRef Name);
  int64_t opset(llvm::StringRef Domain) const;
};

/// Of a graph or function. Graphs may declare the rank.
struct GraphOutput {
  llvm::StringRef Name;
  std::optional<int64_t> Rank;
};
llvm::SmallVector<GraphOutput> graphOutputs(const onnx::GraphProto &Graph);

/// A node that gives one rank or another (Importer::fork).
struct Fork {
  const onnx::NodeProto *Node;
  /// A bool scalar: true goes way 0, false way 1. Null: way 1 is meant unless
  /// what follows cannot take its rank, and way 0 checks that it may be gone.
  mlir::Value Condition;
  /// Imports the node as going a way, which sets its outputs in its frame.
  std::function<mlir::LogicalResult(unsigned Way)> Go;
};

class Importer {
public:
  Importer(mlir::MLIRContext &Context, std::shared_ptr<ModelFile> File,
           const OnnxImportOptions &Options);

  llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>> run();

  mlir::MLIRContext *context() { return &Context; }
  mlir::OpBuilder &builder() { return Builder; }
  mlir::ModuleOp module() { return *Module; }
  const std::shared_ptr<ModelFile> &file() { return File; }

  /// The value as IR at the insertion point. Constants go to the beginning of
  /// the function, so that they are there for everybody.
  mlir::Value materialize(Tensor &T, mlir::Location Loc);
  KnownRef known(Tensor &T);

  /// Imports a graph inside of `Parent` at the insertion point. Failure after
  /// a fatal error only; what could not be imported has no type.
  mlir::FailureOr<llvm::SmallVector<Tensor>>
  importBody(const onnx::GraphProto &Graph, Frame &Parent,
             llvm::ArrayRef<Tensor> Inputs);

  /// Imports one node at the insertion point that nothing follows. Failure
  /// after a fatal error only.
  mlir::LogicalResult importAlone(const onnx::NodeProto &N, Frame &F);

  /// Lets a node that the importer made name operators of InternalDomain.
  void addOwn(const onnx::NodeProto &N) { OwnNodes.insert(&N); }

  /// Says that the rank of what a node gives depends on values: what follows in
  /// its graph is to be imported for each way that it can go (Fork.cpp).
  void fork(Fork F);

  /// A new symbol.
  DimExpr freshSymbol(llvm::StringRef Hint, const DimExpr *Bound = nullptr,
                      int64_t Min = 0);

  size_t numFreshSymbols() const { return FreshSymbols.size(); }
  /// Whether E has a symbol that was made after the first `Mark` ones.
  bool usesSymbolsSince(const DimExpr &E, size_t Mark) const;

  /// Vectors and scalars among the model's inputs that T is computed from: what
  /// a value could be given for.
  llvm::SmallVector<llvm::StringRef> inputsBehind(const Tensor &T);

  /// Notes that a node cannot be imported.
  void refuse(const onnx::NodeProto &N, int64_t Version,
              const llvm::Twine &Reason);
  size_t numRefusals() const { return Refusals.size(); }
  const std::string &lastRefusal() const { return Refusals.back().Reason; }
  /// Does something that may fail; then what it refused is forgotten, so that
  /// another way can be tried.
  mlir::LogicalResult attempt(llvm::function_ref<mlir::LogicalResult()> Do);
  /// Notes what is wrong with the model as a whole and returns failure.
  mlir::LogicalResult fatal(const llvm::Twine &Message);

private:
  mlir::LogicalResult readOpsets();
  mlir::LogicalResult readInitializers(const onnx::GraphProto &Graph, Frame &F);
  mlir::FailureOr<mlir::func::FuncOp> makeFunction(Frame &F);
  /// Adds the arguments that an input stands for, by name, and tells what the
  /// input is once they are there; or the reason why there is nothing.
  struct Argument {
    std::string Name;
    mlir::Type Type;
  };
  llvm::Expected<std::function<Tensor(mlir::ValueRange)>>
  inputArguments(const onnx::ValueInfoProto &Info,
                 const llvm::StringSet<> &BareSymbols,
                 llvm::SmallVectorImpl<Argument> &Arguments);
  llvm::Expected<mlir::Type> inputType(const onnx::TypeProto &Declared,
                                       llvm::StringRef Name,
                                       const InputSpec::Shape *Given,
                                       const llvm::StringSet<> &BareSymbols);
  DimExpr inputDim(const onnx::TensorShapeProto_Dimension &D,
                   llvm::StringRef Input, unsigned Index,
                   const llvm::StringSet<> &BareSymbols);
  /// Imports nodes, the last ones of a graph or function that gives `Outputs`.
  mlir::LogicalResult importNodes(llvm::ArrayRef<const onnx::NodeProto *> Nodes,
                                  Frame &F,
                                  llvm::ArrayRef<GraphOutput> Outputs);
  /// The same behind a node that was imported just now and may have forked.
  mlir::LogicalResult
  continueNodes(llvm::ArrayRef<const onnx::NodeProto *> Nodes, Frame &F,
                llvm::ArrayRef<GraphOutput> Outputs);
  mlir::LogicalResult importFork(llvm::ArrayRef<const onnx::NodeProto *> Rest,
                                 Frame &F, llvm::ArrayRef<GraphOutput> Outputs);
  mlir::LogicalResult importNode(const onnx::NodeProto &N, Frame &F);
  mlir::LogicalResult readInputs(Node &N, bool &Poisoned);
  const limosa_operator *findCustom(const onnx::NodeProto &N,
                                    int64_t Opset) const;
  mlir::LogicalResult importCustom(const onnx::NodeProto &N,
                                   const limosa_operator &Op, Frame &F);
  mlir::LogicalResult expandFunction(const onnx::NodeProto &N,
                                     const onnx::FunctionProto &Fn, Frame &F);
  mlir::LogicalResult foldKnown(Node &N, bool &Done);
  void refuseUnknownInside(const onnx::NodeProto &N, Frame &F);
  mlir::LogicalResult finish(mlir::func::FuncOp Func, Frame &F);
  std::string refusalMessage() const;

  struct Refusal {
    std::string Name, Op, Domain, Reason;
    int64_t Version;
  };

  mlir::MLIRContext &Context;
  std::shared_ptr<ModelFile> File;
  const OnnxImportOptions &Options;
  mlir::OwningOpRef<mlir::ModuleOp> Module;
  mlir::OpBuilder Builder;
  mlir::Block *EntryBlock = nullptr;
  mlir::Operation *LastConstant = nullptr;

  llvm::StringMap<int64_t> Opsets;
  std::map<std::array<std::string, 3>, const onnx::FunctionProto *> Functions;
  /// Opsets of each function, made once.
  llvm::DenseMap<const onnx::FunctionProto *, llvm::StringMap<int64_t>>
      FunctionOpsets;
  llvm::SmallVector<const onnx::FunctionProto *> Expanding;

  /// See addOwn.
  llvm::DenseSet<const onnx::NodeProto *> OwnNodes;
  /// Operators whose bodies are being imported.
  llvm::SmallVector<const limosa_operator *> ExpandingCustom;

  std::vector<std::string> FreshSymbols;
  std::vector<Refusal> Refusals;
  llvm::DenseSet<const onnx::NodeProto *> Refused;
  std::string Fatal;
  /// What is left of the nodes that one model may expand to.
  int64_t NodeBudget = 4'000'000;
  unsigned Depth = 0;
  /// The fork that was asked for and has not begun.
  std::optional<Fork> Pending;
  unsigned NumForks = 0;
  /// Behind a fork: refusals before it; one more ends this way.
  std::optional<size_t> RefusalsBeforeFork;
};

/// The nodes in an order in which each comes after those whose outputs it
/// reads, or null and the name of a node on a cycle.
std::optional<std::vector<const onnx::NodeProto *>>
sortNodes(const google::protobuf::RepeatedPtrField<onnx::NodeProto> &Nodes,
          std::string &Cycle);

/// The reason for refusing an operator that nobody has.
inline constexpr llvm::StringLiteral UnknownOperator = "operator not supported";

/// A name for a symbol: what is no letter, digit, '_' or '.' becomes '_'.
std::string sanitizeSymbol(llvm::StringRef Name);

} // namespace limosa::onnximport

#endif // LIMOSA_LIB_FRONTEND_ONNX_IMPORTER_H
