//===- IrregularStreams.cpp - compact and random_bits ---------------------===//

#include "Irregular.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;
using limosa::codegen::Index;

//===----------------------------------------------------------------------===//
// compact
//===----------------------------------------------------------------------===//

static std::optional<int> matchCompact(const KernelAnalysis &Kernel,
                                       const TargetOptions &) {
  return matchTail<CompactOp>(Kernel) ? std::optional(50) : std::nullopt;
}

/// One loop per dimension around the test of an element; carries the number of
/// elements found and returns it.
static Value emitCompactNest(KernelBuilder &KB, const KernelAnalysis &Kernel,
                             Puller &P, CompactOp Compact, Coords &At,
                             unsigned Dim, Value Found) {
  Dims Shape = getDims(Compact.getMask());
  if (Dim < Shape.size())
    return KB
        .forLoop(KB.constant(0), KB.dim(Shape[Dim]), 1, {Found},
                 [&](Value I, ValueRange Carried) {
                   At.PerDim[Dim] = KB.math().uniform(I);
                   return SmallVector<Value>{emitCompactNest(
                       KB, Kernel, P, Compact, At, Dim + 1, Carried[0])};
                 })
        .front();
  Value IsSet = P.pull(Compact.getMask(), At, Lanes());
  KB.ifThen(IsSet, [&] {
    for (auto [O, Output] : llvm::enumerate(Kernel.Outputs)) {
      if (Output != Compact.getIndices())
        continue;
      const TensorView &View = KB.output(O);
      for (unsigned D = 0; D < Shape.size(); ++D) {
        Coords To(2);
        To.PerDim[0] = KB.math().uniform(Found);
        To.PerDim[1] = KB.math().uniform(static_cast<int64_t>(D));
        Value I = arith::IndexCastOp::create(KB.builder(), KB.loc(),
                                             KB.builder().getI64Type(),
                                             At.PerDim[D].Base);
        KB.store(View, KB.offset(View, To, 0), I, Lanes());
      }
    }
  });
  return KB.math().add(Found,
                       KB.math().select(IsSet, KB.constant(1), KB.constant(0)));
}

static llvm::Error emitCompact(KernelBuilder &KB,
                               const KernelAnalysis &Kernel) {
  auto Compact = matchTail<CompactOp>(Kernel);
  Puller P(KB);
  KB.setGrid(1);
  KB.tileLoop([&](Value) {
    Coords At(static_cast<unsigned>(getDims(Compact.getMask()).size()));
    Value Found =
        emitCompactNest(KB, Kernel, P, Compact, At, 0, KB.constant(0));
    Value Count = arith::IndexCastOp::create(KB.builder(), KB.loc(),
                                             KB.builder().getI64Type(), Found);
    for (auto [O, Output] : llvm::enumerate(Kernel.Outputs))
      if (Output == Compact.getCount())
        KB.store(KB.output(O), KB.math().uniform(0), Count, Lanes());
  });
  return llvm::Error::success();
}

const KernelTemplate codegen::CompactTemplate = {"compact", matchCompact,
                                                 emitCompact};

//===----------------------------------------------------------------------===//
// random_bits: Philox4x32-10
//===----------------------------------------------------------------------===//

static std::optional<int> matchRandom(const KernelAnalysis &Kernel,
                                      const TargetOptions &) {
  return matchTail<RandomBitsOp>(Kernel) && Kernel.Outputs.size() == 1
             ? std::optional(50)
             : std::nullopt;
}

namespace {

/// 32-bit words in the low halves of 64-bit lanes, one counter a lane.
class Philox {
public:
  Philox(KernelBuilder &KB, unsigned Lanes)
      : KB(KB), B(KB.builder()),
        Wide(VectorType::get({int64_t(Lanes)}, B.getI64Type())) {}

  using Words = std::array<Value, 4>;

  Value splat(Value Scalar) {
    return vector::BroadcastOp::create(B, KB.loc(), Wide, Scalar);
  }
  Value splat(uint64_t V) {
    return KB.splat(B.getI64IntegerAttr(static_cast<int64_t>(V)), Wide);
  }
  Value low(Value V) { return make<arith::AndIOp>(V, splat(0xffffffff)); }
  Value high(Value V) { return make<arith::ShRUIOp>(V, splat(32)); }

  Words run(Words Counter, Value Key0, Value Key1) {
    for (int Round = 0; Round < 10; ++Round) {
      Value P0 = make<arith::MulIOp>(splat(0xD2511F53), Counter[0]);
      Value P1 = make<arith::MulIOp>(splat(0xCD9E8D57), Counter[2]);
      Counter = {exclusiveOr(high(P1), Counter[1], Key0), low(P1),
                 exclusiveOr(high(P0), Counter[3], Key1), low(P0)};
      Key0 = low(make<arith::AddIOp>(Key0, splat(0x9E3779B9)));
      Key1 = low(make<arith::AddIOp>(Key1, splat(0xBB67AE85)));
    }
    return Counter;
  }

  /// The words of all lanes one counter after the other.
  Value interleave(const Words &W) {
    auto Narrow = VectorType::get(Wide.getShape(), B.getI32Type());
    Value N[4];
    for (int I = 0; I < 4; ++I)
      N[I] = arith::TruncIOp::create(B, KB.loc(), Narrow, W[I]);
    Value Even = make<vector::InterleaveOp>(N[0], N[2]);
    Value Odd = make<vector::InterleaveOp>(N[1], N[3]);
    return make<vector::InterleaveOp>(Even, Odd);
  }

  template <typename OpT> Value make(Value L, Value R) {
    return OpT::create(B, KB.loc(), L, R);
  }

private:
  Value exclusiveOr(Value X, Value Y, Value Z) {
    return make<arith::XOrIOp>(make<arith::XOrIOp>(X, Y), Z);
  }

  KernelBuilder &KB;
  OpBuilder &B;
  VectorType Wide;
};

} // namespace

static llvm::Error emitRandom(KernelBuilder &KB, const KernelAnalysis &Kernel) {
  constexpr unsigned Lanes = 8;               // counters at a time
  constexpr int64_t WordsPerStep = 4 * Lanes; // a counter gives four words
  constexpr int64_t StepsPerTile = 128;
  auto Random = matchTail<RandomBitsOp>(Kernel);
  Puller P(KB);
  OpBuilder &B = KB.builder();
  IndexMath &M = KB.math();
  Location Loc = KB.loc();
  unsigned Bits = memoryBits(getElementTypeOrSelf(Random.getType()));
  DimExpr Words = numElements(Random.getType()) * DimExpr(Bits / 32);
  DimExpr Steps = DimExpr::ceilDiv(Words, WordsPerStep);
  KB.setGrid(DimExpr::ceilDiv(Steps, StepsPerTile));
  TensorView Out{KB.outputMemref(0, B.getI32Type()),
                 B.getI32Type(),
                 {Words},
                 {DimExpr(1)},
                 /*ReadOnly=*/false};

  Philox Generator(KB, Lanes);
  auto Key = [&](int64_t I) {
    Coords At(1);
    At.PerDim[0] = M.uniform(I);
    return Generator.splat(P.pull(Random.getKey(), At, codegen::Lanes()));
  };
  Value Key0 = Key(0), Key1 = Key(1);
  Value Total = KB.dim(Words), LastStep = KB.dim(Steps);
  KB.tileLoop([&](Value Tile) {
    Value Lo = M.mul(Tile, KB.constant(StepsPerTile));
    Value Hi = M.min(M.add(Lo, KB.constant(StepsPerTile)), LastStep);
    KB.forLoop(Lo, Hi, 1, [&](Value Step) {
      Value First = arith::IndexCastOp::create(B, Loc, B.getI64Type(),
                                               M.mul(Step, KB.constant(Lanes)));
      SmallVector<int64_t> Offsets(Lanes);
      std::iota(Offsets.begin(), Offsets.end(), 0);
      Value Counter = Generator.make<arith::AddIOp>(
          Generator.splat(First),
          arith::ConstantOp::create(
              B, Loc,
              DenseElementsAttr::get(
                  VectorType::get({int64_t(Lanes)}, B.getI64Type()),
                  ArrayRef(Offsets))));
      // The 128-bit counter (key[1] << 64) + n, lowest word first.
      Philox::Words W =
          Generator.run({Generator.low(Counter), Generator.high(Counter),
                         Generator.low(Key1), Generator.high(Key1)},
                        Generator.low(Key0), Generator.high(Key0));
      Value Bits32 = Generator.interleave(W);
      Value At = M.mul(Step, KB.constant(WordsPerStep));
      Index Offset{At, 1, {}};
      Value Left = M.sub(Total, At);
      KB.ifElse(
          M.le(KB.constant(WordsPerStep), Left), TypeRange(),
          [&] {
            KB.store(Out, Offset, Bits32, {WordsPerStep, {}});
            return SmallVector<Value>();
          },
          [&] {
            KB.store(Out, Offset, Bits32,
                     {WordsPerStep, KB.firstLanes(Left, WordsPerStep)});
            return SmallVector<Value>();
          });
    });
  });
  return llvm::Error::success();
}

const KernelTemplate codegen::RandomBitsTemplate = {"random_bits", matchRandom,
                                                    emitRandom};
