//===- ProductBench.cpp - Products and convolutions against the FMA peak --===//
//
// One thread, every ISA the machine has. The share of peak compares the fastest
// of many runs with the fastest of bare multiply-add loops run between them, so
// that other load and clock changes cancel.
//
//===----------------------------------------------------------------------===//

#include "FmaPeak.h"
#include "KernelFixture.h"
#include <benchmark/benchmark.h>
#include <chrono>

using namespace mlir;
using namespace limosa;
using namespace limosa::test;

namespace {

double seconds() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Runs all tiles of a compiled kernel and reports the share of peak.
void measure(benchmark::State &State, KernelFixture &F, bool Wide) {
  double Best = 1e9, Peak = 0;
  for (auto _ : State) {
    Peak = std::max(Peak, Wide ? bench::fmaPeak512() : bench::fmaPeak256());
    double Start = seconds();
    F.runTiles(0, F.grid());
    double Time = seconds() - Start;
    State.SetIterationTime(Time);
    Best = std::min(Best, Time);
  }
  double Flops = double(*F.kernel().Flops->constant());
  State.counters["GFLOP/s"] = Flops / Best * 1e-9;
  State.counters["%peak"] = 100 * Flops / Best / Peak;
}

std::vector<float> ramp(int64_t N) {
  std::vector<float> V(N);
  for (int64_t I = 0; I < N; ++I)
    V[I] = float(I * 37 % 101 - 50) / 64;
  return V;
}

Value gelu(CoreBuilder &B, Value V) {
  Value Erf = B.erf(B.mulScalar(V, 0.70710678118654752));
  return B.mul(B.mulScalar(V, 0.5), B.addScalar(Erf, 1.0));
}

void product(benchmark::State &State, std::string Isa, int64_t M, int64_t N,
             int64_t K, bool Epilogue) {
  KernelFixture F(Isa, 1);
  SmallVector<KernelFixture::Argument> Args = {
      {F.type({M, K})}, {F.type({K, N}), true}, {F.type({N}), true}};
  auto Build = [&](CoreBuilder &B, ValueRange In) -> SmallVector<Value> {
    Value V = B.contract(In[0], In[1], {}, {}, {1}, {0});
    if (!Epilogue)
      return {V};
    return {gelu(B, B.add(V, B.broadcastTo(In[2], getDims(V))))};
  };
  auto X = ramp(M * K), W = ramp(K * N), Bias = ramp(N);
  std::vector<float> Y(M * N);
  if (!F.compile(Args, Build) ||
      !F.prepare({X.data(), W.data(), Bias.data()}, {Y.data()})) {
    State.SkipWithError("does not compile");
    return;
  }
  measure(State, F, Isa == "avx512");
}

/// Attention's products: neither operand is constant.
void attention(benchmark::State &State, std::string Isa, int64_t Heads,
               int64_t S, int64_t D, bool Scores) {
  KernelFixture F(Isa, 1);
  SmallVector<KernelFixture::Argument> Args = {
      {F.type({Heads, S, Scores ? D : S})}, {F.type({Heads, S, D})}};
  auto Build = [&](CoreBuilder &B, ValueRange In) -> SmallVector<Value> {
    return {B.contract(In[0], In[1], {0}, {0}, {2}, {Scores ? 2 : 1})};
  };
  auto X = ramp(Heads * S * std::max(S, D)), W = ramp(Heads * S * D);
  std::vector<float> Y(Heads * S * std::max(S, D));
  if (!F.compile(Args, Build) || !F.prepare({X.data(), W.data()}, {Y.data()})) {
    State.SkipWithError("does not compile");
    return;
  }
  measure(State, F, Isa == "avx512");
}

void convolution(benchmark::State &State, std::string Isa, int64_t Size,
                 int64_t In, int64_t Out, int64_t Window, int64_t Stride,
                 int64_t Groups) {
  KernelFixture F(Isa, 1);
  SmallVector<int64_t> Nhwc = {0, 2, 3, 1};
  int64_t Pad = Window / 2;
  int64_t OutSize = (Size + 2 * Pad - Window) / Stride + 1;
  SmallVector<KernelFixture::Argument> Args = {
      {F.type({1, In, Size, Size}, {}, Nhwc)},
      {F.type({Out, In / Groups, Window, Window}), true},
      {F.type({Out}), true}};
  auto Build = [&](CoreBuilder &B, ValueRange V) -> SmallVector<Value> {
    infer::ConvAttrs A;
    A.Strides = {Stride, Stride};
    A.LhsDilation = A.RhsDilation = {1, 1};
    A.PadLow = A.PadHigh = {Pad, Pad};
    A.FeatureGroups = Groups;
    Value C = B.conv(V[0], V[1], A);
    C.setType(withOrder(cast<RankedTensorType>(C.getType()), Nhwc));
    Value Bias = B.broadcast(V[2], getDims(C), {1});
    Bias.setType(C.getType());
    Value Sum = B.add(C, Bias);
    Sum.setType(C.getType());
    Value Zero = B.full(0, Sum);
    Zero.setType(C.getType());
    Value Relu = B.max(Sum, Zero);
    Relu.setType(C.getType());
    return {Relu};
  };
  auto X = ramp(In * Size * Size),
       W = ramp(Out * In / Groups * Window * Window), Bias = ramp(Out);
  std::vector<float> Y(Out * OutSize * OutSize);
  if (!F.compile(Args, Build) ||
      !F.prepare({X.data(), W.data(), Bias.data()}, {Y.data()})) {
    State.SkipWithError("does not compile");
    return;
  }
  measure(State, F, Isa == "avx512");
}

template <typename Fn, typename... Ts>
void add(const std::string &Name, Fn F, Ts... Rest) {
  for (const std::string &Isa : allIsas())
    benchmark::RegisterBenchmark(
        (Name + "/" + Isa).c_str(),
        [=](benchmark::State &S) { F(S, Isa, Rest...); })
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond);
}

} // namespace

int main(int argc, char **argv) {
  add("product_bias_gelu/1024x1024x1024", product, 1024, 1024, 1024, true);
  add("product/1024x1024x1024", product, 1024, 1024, 1024, false);
  add("product_bias_gelu/128x3072x768", product, 128, 3072, 768, true);
  add("product/128x768x3072", product, 128, 768, 3072, false);
  add("product/197x768x768", product, 197, 768, 768, false);
  add("product/1x1000x2048", product, 1, 1000, 2048, false);
  add("product/127x129x131", product, 127, 129, 131, false);
  add("attention_scores/12x128x64", attention, 12, 128, 64, true);
  add("attention_values/12x128x64", attention, 12, 128, 64, false);
  add("conv3x3/56x56x64", convolution, 56, 64, 64, 3, 1, 1);
  add("conv3x3/28x28x128", convolution, 28, 128, 128, 3, 1, 1);
  add("conv3x3/14x14x256", convolution, 14, 256, 256, 3, 1, 1);
  add("conv3x3/7x7x512", convolution, 7, 512, 512, 3, 1, 1);
  add("conv1x1/56x56x64x256", convolution, 56, 64, 256, 1, 1, 1);
  add("conv1x1/14x14x1024x256", convolution, 14, 1024, 256, 1, 1, 1);
  add("conv1x1s2/56x56x256x512", convolution, 56, 256, 512, 1, 2, 1);
  add("conv3x3s2/56x56x128", convolution, 56, 128, 128, 3, 2, 1);
  add("conv7x7s2/224x224x3x64", convolution, 224, 3, 64, 7, 2, 1);
  add("conv3x3g32/56x56x256", convolution, 56, 256, 256, 3, 1, 32);
  add("depthwise3x3/112x112x32", convolution, 112, 32, 32, 3, 1, 32);
  add("depthwise5x5/28x28x120", convolution, 28, 120, 120, 5, 1, 120);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
