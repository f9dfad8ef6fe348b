// Operators in C++: runs a model that holds them.
//
//   run_custom model.onnx
//
// my.domain::SumAndMax has two outputs; my.domain::ErfMul has a body, so that
// it is compiled and fused with what is around it, on any device.
#include "limosa/limosa.hpp"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <stdexcept>

static limosa::Operator sumAndMax() {
  limosa::Operator Op("my.domain", "SumAndMax");
  Op.inputs(1)
      .outputs(2)
      .shape([](limosa::OperatorShapes &S) {
        // The last dimension goes.
        std::vector<std::string> Dims = S.dims(0);
        if (Dims.empty())
          return S.fail("needs a tensor of at least rank 1");
        Dims.pop_back();
        S.set(0, LIMOSA_F32, Dims);
        S.set(1, LIMOSA_F32, Dims);
      })
      .kernel([](limosa::OperatorCall &C) {
        const auto &X = *C.in(0);
        const int64_t Columns = X.dims[X.rank - 1];
        if (Columns == 0)
          throw std::runtime_error("nothing to take the maximum of");
        const float *Row = C.input<float>(0);
        for (uint64_t R = 0; R < C.out(0)->elements; ++R, Row += Columns) {
          C.output<float>(0)[R] = std::accumulate(Row, Row + Columns, 0.0f);
          C.output<float>(1)[R] = *std::max_element(Row, Row + Columns);
        }
      });
  return Op;
}

static limosa::Operator erfMul() {
  limosa::Operator Op("my.domain", "ErfMul");
  Op.inputs(1).outputs(1).body([](limosa::OperatorBody &B) {
    auto Scale =
        B.constant<float>(LIMOSA_F32, {}, {float(B.attr("scale", 1.0))});
    B.set(0, B.make("Mul", {0, B.make("Erf", {B.make("Mul", {0, Scale})})}));
  });
  return Op;
}

int main(int Count, char **Arguments) {
  if (Count != 2) {
    std::fprintf(stderr, "usage: run_custom MODEL.onnx\n");
    return 2;
  }
  auto Context = limosa::Context::create();
  if (!Context) {
    std::fprintf(stderr, "%s\n", Context.error().c_str());
    return 1;
  }
  for (const limosa::Operator &Op : {sumAndMax(), erfMul()})
    if (auto Added = Context->add(Op); !Added) {
      std::fprintf(stderr, "%s\n", Added.error().c_str());
      return 1;
    }
  auto Model = Context->compile(Arguments[1]);
  if (!Model) {
    std::fprintf(stderr, "%s\n", Model.error().c_str());
    return 1;
  }
  auto Session = Model->instance();
  std::vector<float> X(2 * 3);
  std::iota(X.begin(), X.end(), -2.0f);
  auto Results = Session->run(limosa::Tensor::view(X, {2, 3}));
  if (!Results) {
    std::fprintf(stderr, "%s\n", Results.error().c_str());
    return 1;
  }
  for (limosa::Tensor &Output : *Results) {
    for (int64_t I = 0; I < Output.elements(); ++I)
      std::printf("%s%.4f", I ? " " : "", double(Output.data<float>()[I]));
    std::printf("\n");
  }
  return 0;
}
