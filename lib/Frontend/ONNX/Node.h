//===- Node.h - A node as its handler sees it -------------------*- C++ -*-===//
//
// A handler translates one ONNX operator: it reads inputs and attributes, makes
// core ops with `B`, and sets outputs, or returns fail("why not"). Handlers
// check what CoreBuilder takes for granted; the helpers here do most of that.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_LIB_FRONTEND_ONNX_NODE_H
#define LIMOSA_LIB_FRONTEND_ONNX_NODE_H

#include "Importer.h"
#include "limosa/IR/Composites.h"
#include "llvm/ADT/SetVector.h"

namespace limosa::onnximport {

using llvm::SmallVector;
using llvm::StringRef;
using llvm::Twine;
using mlir::failed;
using mlir::failure;
using mlir::FailureOr;
using mlir::LogicalResult;
using mlir::RankedTensorType;
using mlir::success;
using mlir::Type;
using mlir::Value;
using mlir::ValueRange;
using Ints = llvm::SmallVector<int64_t>;

/// What fail() gives: a failure of any kind of result.
struct Failed {
  operator LogicalResult() const { return failure(); }
  template <typename T> operator FailureOr<T>() const { return failure(); }
};

/// Whether a tensor is a single number, of any rank.
inline bool isSingle(Type T) {
  auto Ty = mlir::cast<RankedTensorType>(T);
  return Ty.hasStaticShape() && Ty.getNumElements() == 1;
}
inline bool isSingle(Value V) { return isSingle(V.getType()); }

class Node {
public:
  Node(Importer &I, const onnx::NodeProto &P, Frame &F, int64_t Version);

  Importer &I;
  const onnx::NodeProto &P;
  Frame &F;
  CoreBuilder B;
  int64_t Version; ///< since_version of the handler
  int64_t Opset;   ///< of the node's domain

  /// Notes why the node cannot be imported.
  Failed fail(const Twine &Reason);
  StringRef op() const;
  StringRef name() const;

  // Inputs. Handlers ask only for inputs that `has`; the table guarantees the
  // required ones.
  unsigned numInputs() const { return Inputs.size(); }
  bool has(unsigned K) const { return K < Inputs.size() && Inputs[K]; }
  Tensor &tensor(unsigned K) const { return *Inputs[K]; }
  RankedTensorType type(unsigned K) const { return Inputs[K]->Type; }
  Type elem(unsigned K) const { return type(K).getElementType(); }
  int64_t rank(unsigned K) const { return type(K).getRank(); }
  Dims dims(unsigned K) const { return getDims(type(K)); }
  /// A dimension; notes a failure where the input has no such one, since few
  /// handlers look at the rank before.
  DimExpr dim(unsigned K, int64_t D);
  Value in(unsigned K);
  /// All inputs that are given, as values.
  SmallVector<Value> allIn();

  /// The elements if they are known as integers.
  std::optional<Dims> known(unsigned K);
  std::optional<Ints> constInts(unsigned K);
  std::optional<SmallVector<double>> constFloats(unsigned K);
  /// The elements of an integer tensor of rank 0 or 1 and known size; unknown
  /// ones become symbols that the program binds when it gets here.
  FailureOr<Dims> sizes(unsigned K);
  /// Binds the elements of an i64 tensor of rank <= 1 to fresh symbols.
  Dims bind(Value V, StringRef Hint, const DimExpr *Bound = nullptr);

  // Attributes.
  bool hasAttr(StringRef Name);
  int64_t attr(StringRef Name, int64_t Default);
  double attr(StringRef Name, double Default);
  std::string attr(StringRef Name, StringRef Default);
  std::optional<Ints> ints(StringRef Name);
  std::optional<SmallVector<double>> floats(StringRef Name);
  std::optional<SmallVector<std::string>> strings(StringRef Name);
  const onnx::AttributeProto *findAttr(StringRef Name);
  const onnx::GraphProto *graph(StringRef Name);

  // Outputs.
  unsigned numOutputs() const;
  bool wants(unsigned K) const;
  void out(unsigned K, Value V) { out(K, Tensor::of(V)); }
  void out(unsigned K, Tensor T);
  /// Sets output 0 and succeeds.
  LogicalResult done(Value V) { return out(0, V), success(); }
  LogicalResult done(ValueRange Vs);

  // Checks and everyday steps. On failure the reason has been noted.
  /// `Axis` counted from the front.
  FailureOr<int64_t> axis(int64_t Axis, int64_t Rank);
  FailureOr<Ints> axes(llvm::ArrayRef<int64_t> Axes, int64_t Rank);
  LogicalResult wantRank(unsigned K, int64_t Rank);
  LogicalResult wantMinRank(unsigned K, int64_t Rank);
  LogicalResult sameElem(unsigned K, unsigned L);
  /// Sizes that must agree: an error if they cannot, a run-time check if it
  /// does not show.
  LogicalResult wantEqual(const DimExpr &A, const DimExpr &B,
                          const Twine &What);
  /// V with the dimensions `Shape`, which are known to be equal to its own.
  Value as(Value V, llvm::ArrayRef<DimExpr> Shape);
  /// Numpy broadcast of values, of one dtype unless Mixed.
  FailureOr<SmallVector<Value>> broadcast(ValueRange Vs, bool Mixed = false);
  FailureOr<Value> broadcastTo(Value V, llvm::ArrayRef<DimExpr> Shape);
  /// reshape after a check of the element counts.
  FailureOr<Value> reshape(Value V, llvm::ArrayRef<DimExpr> Shape);
  FailureOr<Value> matmul(Value L, Value R, Type Result = {});
  FailureOr<Value> contract(Value L, Value R, CoreBuilder::Ints LB,
                            CoreBuilder::Ints RB, CoreBuilder::Ints LC,
                            CoreBuilder::Ints RC, Type Result = {});
  /// Negative indices count from the end of a dimension of size N.
  Value wrapIndices(Value Indices, const DimExpr &Size);
  /// A scalar (of rank 0 or one element) along a shape.
  FailureOr<Value> scalarLike(unsigned K, Value Like);
  SmallVector<Value>
  composite(StringRef Name, ValueRange Inputs,
            llvm::ArrayRef<mlir::NamedAttribute> Config = {});
  mlir::NamedAttribute cfg(StringRef Name, int64_t V);
  mlir::NamedAttribute cfg(StringRef Name, double V);
  mlir::NamedAttribute cfg(StringRef Name, bool V);
  mlir::NamedAttribute cfg(StringRef Name, StringRef V);
  mlir::NamedAttribute cfg(StringRef Name, llvm::ArrayRef<int64_t> V);

  Type f32() { return B.builder().getF32Type(); }
  Type i64() { return B.builder().getI64Type(); }
  Type i32() { return B.builder().getI32Type(); }
  Type i1() { return B.builder().getI1Type(); }

private:
  SmallVector<Tensor *> Inputs; ///< Null: not given.
  /// Inputs whose values a handler asked for in vain.
  llvm::SmallSetVector<unsigned, 2> Unknown;
};

inline bool isBool(Type T) { return T.isInteger(1); }
inline bool isFloatType(Type T) { return mlir::isa<mlir::FloatType>(T); }

} // namespace limosa::onnximport

#endif // LIMOSA_LIB_FRONTEND_ONNX_NODE_H
