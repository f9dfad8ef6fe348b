//===- KernelBuilder.h - The frame of a generated kernel --------*- C++ -*-===//
//
// Makes the kernel function with the ABI of limosa/Runtime/KernelABI.h and what
// every template needs in it: buffers as flat memrefs, dimension expressions as
// index values, the loop over tiles, scratch memory.
//
// Insertion point discipline: expressions and buffers are emitted once in the
// entry block. Everything else goes where `builder()` points. Ops without side
// effects are moved out of the scf.for loops whose values they do not use as
// they are created, so templates need not think about invariants; for this to
// work loops are made with `forLoop` (or ForOp::create without a body builder).
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_KERNELBUILDER_H
#define LIMOSA_CODEGEN_KERNELBUILDER_H

#include "limosa/Codegen/Index.h"
#include "limosa/Codegen/Template.h"
#include "limosa/IR/Types.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace limosa::codegen {

/// Type of an element in memory: bool and the 8- and 4-bit storage types as i8
/// (4-bit: two in a byte, low nibble first), integers signless, f16 and bf16 as
/// i16 (LLVM makes library calls of bf16 vectors that it takes apart).
mlir::Type memoryType(mlir::Type Element);
/// Type of an element in a register: bool i1, f16 and bf16 as f32 that hold a
/// rounded value, integers signless, storage types i8 with the raw bits.
mlir::Type registerType(mlir::Type Element);
/// Bits of an element in memory (4 for the 4-bit types).
unsigned memoryBits(mlir::Type Element);

/// A tensor in memory: a flat memref and how coordinates become offsets.
struct TensorView {
  mlir::Value Memref; ///< memref<?xmemoryType>
  mlir::Type Element; ///< the tensor's own element type
  Dims Shape;         ///< logical
  Dims Strides;       ///< elements, per logical dimension
  bool ReadOnly = false;
};

/// Row-major strides of `Shape` in the physical order `Order`.
Dims stridesOf(llvm::ArrayRef<DimExpr> Shape, llvm::ArrayRef<int64_t> Order);

class KernelBuilder : private mlir::OpBuilder::Listener {
public:
  using Value = mlir::Value;

  /// Begins the function `Result.Symbol` in `Module`. Fills `Result`.
  KernelBuilder(mlir::ModuleOp Module, mlir::func::FuncOp Kernel,
                const TargetOptions &Options, CompiledKernel &Result);
  ~KernelBuilder();
  KernelBuilder(const KernelBuilder &) = delete;

  mlir::OpBuilder &builder() { return B; }
  mlir::Location loc() const { return Loc; }
  IndexMath &math() { return Math; }
  const TargetOptions &options() const { return Options; }
  bool isAvx512() const;
  /// f32 lanes of a vector register: 16 or 8.
  unsigned f32Lanes() const { return isAvx512() ? 16 : 8; }

  /// The function's LimosaKernelContext pointer.
  Value context();
  /// The tiles to compute, as index values.
  Value tileBegin() { return TileBegin; }
  Value tileEnd() { return TileEnd; }

  unsigned numInputs() const { return Inputs.size(); }
  unsigned numOutputs() const { return Outputs.size(); }
  /// The view of a kernel argument, with strides of its type's order.
  const TensorView &input(unsigned I);
  const TensorView &output(unsigned I);
  /// Argument I as memref<?xElement>, e.g. for a packed operand.
  Value inputMemref(unsigned I, mlir::Type Element);
  Value outputMemref(unsigned I, mlir::Type Element);
  /// Whether argument I is marked limosa.constant.
  bool isConstantInput(unsigned I) const;

  /// Value of an expression, computed once in the entry block.
  Value dim(const DimExpr &E);
  /// The same, at least 1: for divisors that may be sizes of empty tensors.
  Value divisor(const DimExpr &E);
  Value constant(int64_t V) { return Math.constant(V); }
  /// Scalar or vector constant of a register type.
  Value splat(mlir::Attribute Element, mlir::Type RegisterTy);

  /// Reserves scratch memory per worker, 64-byte aligned, as a memref.
  Value scratch(const DimExpr &Elements, mlir::Type MemoryElement);

  /// Bytes known at compile time as read-only memory.
  Value constantMemref(llvm::ArrayRef<char> Bytes, mlir::Type MemoryElement);

  /// scf.for with the builder set to its body; `Body` gets the induction value
  /// and the loop-carried values and returns what to yield.
  using LoopBody =
      llvm::function_ref<llvm::SmallVector<Value>(Value, mlir::ValueRange)>;
  llvm::SmallVector<Value> forLoop(Value Lo, Value Hi, int64_t Step,
                                   mlir::ValueRange Inits, LoopBody Body);
  void forLoop(Value Lo, Value Hi, int64_t Step,
               llvm::function_ref<void(Value)> Body);
  /// scf.if with results.
  using Branch = llvm::function_ref<llvm::SmallVector<Value>()>;
  llvm::SmallVector<Value> ifElse(Value Condition, mlir::TypeRange Results,
                                  Branch Then, Branch Else);
  /// scf.if without results.
  void ifElse(Value Condition, llvm::function_ref<void()> Then,
              llvm::function_ref<void()> Else);
  void ifThen(Value Condition, llvm::function_ref<void()> Then);
  /// The loop over [tileBegin, tileEnd).
  void tileLoop(llvm::function_ref<void(Value Tile)> Body) {
    forLoop(TileBegin, TileEnd, 1, Body);
  }

  /// Offset in elements of coordinates in a view, with its lanes.
  Index offset(const TensorView &View, const Coords &At, unsigned N);
  /// Takes dimension D of `At` out of its group, if it is in one.
  void materialize(Coords &At, unsigned D, llvm::ArrayRef<DimExpr> Shape,
                   unsigned N);
  /// Replaces group G by one per run; runs begin at these positions of its
  /// dims.
  void splitGroup(Coords &At, unsigned G, llvm::ArrayRef<unsigned> FirstOfRuns,
                  llvm::ArrayRef<DimExpr> Shape, unsigned N);
  /// Takes dimensions of size 1 out of groups (their coordinate is 0), and
  /// drops groups that become empty.
  void dropUnits(Coords &At, llvm::ArrayRef<DimExpr> Shape);
  /// Loads elements as register values: a scalar when N is 0 or the offset is
  /// uniform, a vector otherwise. Lanes out of the mask are zero.
  Value load(const TensorView &View, const Index &Offset, const Lanes &L);
  /// Stores a register value (a scalar is repeated over the lanes).
  void store(const TensorView &View, const Index &Offset, Value V,
             const Lanes &L);

  /// Register value <-> memory value (scalars or vectors).
  Value toRegister(Value Memory, mlir::Type Element);
  Value toMemory(Value Register, mlir::Type Element);
  /// f32 rounded to f16 or bf16. Denormal results may be zeros in kernels with
  /// FlushAttrName, where the ISA's own instruction gives them so.
  Value narrow(Value V, mlir::Type Element);
  /// Repeats a scalar over N lanes; vectors and N = 0 stay.
  Value broadcast(Value V, unsigned N);
  /// vector<Nxi1> of the first `Count` lanes.
  Value firstLanes(Value Count, unsigned N);

  // What the plan is told.
  void setGrid(const DimExpr &E) { Result.Grid = E; }
  void remark(const llvm::Twine &Text) { Result.Remarks.push_back(Text.str()); }
  void requestPack(unsigned Operand, llvm::StringRef Spec) {
    Result.Packs.push_back({Operand, Spec.str()});
  }
  CompiledKernel &result() { return Result; }

  /// Ends the function with status 0. Nothing may be emitted afterwards.
  void finish();

  /// Moves an op just created (e.g. a load from an input) out of the loops
  /// whose values it does not use. Only for ops that may run when the loop does
  /// not.
  static void hoist(mlir::Operation *Op);

private:
  void notifyOperationInserted(mlir::Operation *Op,
                               mlir::OpBuilder::InsertPoint Previous) override;
  Value bufferPointer(unsigned I);
  Value memrefOf(Value Pointer, mlir::Type Element);
  TensorView makeView(unsigned Buffer, mlir::Type Ty, bool ReadOnly);
  Value loadNibbles(const TensorView &View, const Index &Offset,
                    const Lanes &L);
  Value loadNibbleRun(const TensorView &View, Value First, unsigned Count);
  void storeNibbles(const TensorView &View, const Index &Offset, Value V,
                    const Lanes &L);
  Value atom(const DimAtom &A);
  template <typename Fn> auto atEntry(Fn F);

  mlir::ModuleOp Module;
  mlir::func::FuncOp Kernel;
  const TargetOptions &Options;
  CompiledKernel &Result;
  mlir::OpBuilder B;
  mlir::Location Loc;
  IndexMath Math;
  mlir::LLVM::LLVMFuncOp Func;
  mlir::Operation *EntryEnd = nullptr; ///< entry-block ops go before this
  Value TileBegin, TileEnd;
  llvm::SmallVector<std::optional<TensorView>> Inputs, Outputs;
  llvm::SmallVector<Value> Pointers;
  llvm::StringMap<Value> DimValues, DivisorValues, SymbolValues;
  unsigned NumGlobals = 0;
  bool FlushesDenormals = false;
  DimExpr ScratchUsed;
};

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_KERNELBUILDER_H
