//===- EntryPlanner.h - One entry function to steps and buffers -*- C++ -*-===//

#ifndef LIMOSA_LIB_PLAN_ENTRYPLANNER_H
#define LIMOSA_LIB_PLAN_ENTRYPLANNER_H

#include "Arena.h"
#include "ProgramState.h"
#include "llvm/ADT/DenseSet.h"

namespace limosa::plan {

class EntryPlanner {
public:
  EntryPlanner(ProgramState &P, mlir::func::FuncOp Func, fb::EntryT &Entry)
      : P(P), Func(Func), Entry(Entry),
        Bounds(P.Module, Func.getArgumentTypes()) {}

  llvm::Error run();

private:
  /// A block being planned.
  struct Scope {
    mlir::Block *Body = nullptr;
    fb::BlockT *Out = nullptr;
    Scope *Parent = nullptr;
    unsigned Depth = 0;
    llvm::DenseMap<mlir::Operation *, unsigned> Index;
    /// Position of the last op that uses a value or a view of it.
    llvm::DenseMap<mlir::Value, unsigned> LastUse;
    /// Storages that values of this block should be written to.
    llvm::DenseMap<mlir::Value, unsigned> Target;
    /// Storages of outer blocks used here.
    llvm::DenseSet<unsigned> Outer;
    llvm::DenseMap<std::pair<unsigned, unsigned>, unsigned> OnDevice;
  };

  // EntryPlanner.cpp: the entry and straight-line code.
  llvm::Error planArguments();
  void planOutputTargets(Scope &S);
  llvm::Error planReturn(Scope &S);
  void openScope(Scope &S, mlir::Block &Body, fb::BlockT &Out, Scope *Parent);
  void closeScope(Scope &S);
  llvm::Error visitBlock(Scope &S);
  llvm::Error visit(mlir::Operation *Op, Scope &S);
  llvm::Error visitBind(mlir::Operation *Op, Scope &S);
  void finishMemory();
  void insertFrees();

  // HostOps.cpp
  llvm::Error visitCustomCall(mlir::Operation *Op, Scope &S);

  // Launches.cpp
  llvm::Error visitLaunch(mlir::Operation *Op, Scope &S);
  std::optional<unsigned> takeOver(mlir::Operation *Launch, const KernelInfo &K,
                                   unsigned Result,
                                   llvm::ArrayRef<uint32_t> Operands, Scope &S);
  uint32_t toDevice(uint32_t Buffer, uint32_t Device, Scope &S);

  // ControlFlow.cpp
  llvm::Error visitIf(mlir::Operation *Op, Scope &S);
  llvm::Error visitWhile(mlir::Operation *Op, Scope &S);
  llvm::Error planBranch(mlir::Operation *If, mlir::Region &Branch,
                         fb::BlockT &Out, llvm::ArrayRef<uint32_t> Results,
                         const llvm::StringSet<> &Fresh, Scope &S);
  bool isFresh(const DimExpr &Dim) const;
  void settle(const DimExpr &Dim, const DimExpr &Value,
              const llvm::StringSet<> &Fresh, mlir::Operation *Op, Scope &S);
  struct Carried;
  struct Rename;
  llvm::Error planBody(mlir::Operation *While, llvm::ArrayRef<Carried> Vars,
                       llvm::ArrayRef<Rename> Renames, fb::BlockT &Out,
                       Scope &S);
  bool usedInside(mlir::Operation *Op, mlir::Value V) const;
  llvm::Error endRound(llvm::ArrayRef<Carried> Vars,
                       llvm::ArrayRef<Rename> Renames, Scope &Body);

  // Buffers.cpp
  mlir::Value rootOf(mlir::Value V) const;
  bool dies(mlir::Value V, mlir::Operation *At, const Scope &S) const;
  unsigned newStorage(fb::BufferKind Kind, const Scope &S);
  /// For a tensor with at most `Elements` elements, if that is known when the
  /// entry starts; otherwise allocated on the way.
  unsigned newTensorStorage(DType T, const std::optional<DimExpr> &Elements,
                            const Scope &S);
  uint32_t newBuffer(mlir::RankedTensorType Ty, unsigned Storage,
                     llvm::StringRef Name = "");
  uint32_t newBuffer(DType T, llvm::ArrayRef<DimExpr> Dims,
                     llvm::ArrayRef<int64_t> Order, unsigned Storage,
                     llvm::StringRef Name = "");
  llvm::Expected<uint32_t> constantBuffer(mlir::Operation *Op,
                                          llvm::StringRef Spec);
  llvm::Expected<uint32_t> bufferOf(mlir::Value V);
  /// The buffer a new value is written to: its target's or a new storage.
  uint32_t define(mlir::Value V, Scope &S);
  std::string nameOf(mlir::Value V) const;

  void touch(uint32_t Buffer, Scope &S);
  void allocIfDynamic(uint32_t Buffer, Scope &S);
  template <typename T> void emit(T Instr, Scope &S);
  void emitCopy(uint32_t Src, uint32_t Dst, Scope &S);
  void setSymbol(llvm::StringRef Symbol, const DimExpr &E, Scope &S);

  ProgramState &P;
  mlir::func::FuncOp Func;
  fb::EntryT &Entry;
  SizeBounds Bounds;
  std::vector<Storage> Storages;
  std::vector<unsigned> StorageOf; // by buffer
  llvm::DenseMap<mlir::Value, uint32_t> Buffers;
  llvm::DenseMap<std::pair<uint32_t, mlir::Type>, uint32_t> ConstantBuffers;
  /// Time at which the steps of a block end, by step; and the block that a
  /// dynamic storage belongs to.
  llvm::DenseMap<fb::BlockT *, std::vector<unsigned>> StepTimes;
  llvm::DenseMap<unsigned, fb::BlockT *> DynamicIn;
  llvm::DenseSet<unsigned> DynamicOwners; // storages whose owner is known
  /// Storages that hold a loop variable or a result of `if`: only what is meant
  /// for them is written there.
  llvm::DenseSet<unsigned> Pinned;
  /// Symbols that got a value before the step being planned.
  llvm::StringSet<> Assigned;
  unsigned Time = 0;
};

template <typename T> void EntryPlanner::emit(T Instr, Scope &S) {
  auto Step = std::make_unique<fb::StepT>();
  Step->instr.Set(std::move(Instr));
  S.Out->steps.push_back(std::move(Step));
  StepTimes[S.Out].push_back(Time);
  ++Time;
}

} // namespace limosa::plan

#endif // LIMOSA_LIB_PLAN_ENTRYPLANNER_H
