//===- HostOpTest.cpp - custom_call in compiled programs ------------------===//

#include "Harness.h"

#include <gtest/gtest.h>

#include <algorithm>

using namespace limosa;
using namespace limosa::test;

namespace {

/// y = factor * x + the sum of the weights, if there are any.
int32_t scale(const limosa_operator_call *C) {
  const auto *X = static_cast<const float *>(C->inputs[0]->data);
  auto *Y = static_cast<float *>(C->outputs[0]->data);
  float Add = 0;
  if (C->input_count > 2 && C->inputs[2])
    for (uint64_t I = 0; I < C->inputs[2]->elements; ++I)
      Add += static_cast<const float *>(C->inputs[2]->data)[I];
  for (uint64_t I = 0; I < C->inputs[0]->elements; ++I)
    Y[I] = float(C->attributes[0]->floats[0]) * X[I] + Add;
  return LIMOSA_STATUS_OK;
}

/// The positive elements, and how many there are.
int32_t positive(const limosa_operator_call *C) {
  const auto *X = static_cast<const float *>(C->inputs[0]->data);
  int64_t Count = 0;
  for (uint64_t I = 0; I < C->inputs[0]->elements; ++I)
    Count += X[I] > 0;
  auto *Y = static_cast<float *>(C->allocate(C, 0, 1, &Count));
  if (!Y)
    return LIMOSA_STATUS_FAILED;
  for (uint64_t I = 0; I < C->inputs[0]->elements; ++I)
    if (X[I] > 0)
      *Y++ = X[I];
  *static_cast<int64_t *>(C->outputs[1]->data) = Count;
  return LIMOSA_STATUS_OK;
}

int32_t refuse(const limosa_operator_call *C) {
  C->set_error(C, "does not like it\nat all");
  return LIMOSA_STATUS_INVALID_ARGUMENT;
}

limosa_operator describe(const char *Name,
                         int32_t (*Run)(const limosa_operator_call *)) {
  limosa_operator Op = {};
  Op.size = sizeof(Op);
  Op.domain = "my.domain";
  Op.name = Name;
  Op.infer = [](const limosa_operator_shapes *) { return LIMOSA_STATUS_OK; };
  Op.run = Run;
  return Op;
}

const char *ScaleModel = R"(
  module attributes {limosa.symbols = {N = #limosa.symbol}} {
    func.func @main(%x: tensor<?x3xf32, #limosa.enc<["N"]>>,
                    %w: tensor<2xf32>)
        -> tensor<?x3xf32, #limosa.enc<["N"]>> attributes {limosa.entry} {
      %0 = limosa.neg %x : (tensor<?x3xf32, #limosa.enc<["N"]>>)
        -> tensor<?x3xf32, #limosa.enc<["N"]>>
      %1 = limosa.custom_call %0, %w {target = "my.domain::Scale",
          slots = array<i64: 0, 2>, config = {factor = 3.0 : f64}}
        : (tensor<?x3xf32, #limosa.enc<["N"]>>, tensor<2xf32>)
        -> tensor<?x3xf32, #limosa.enc<["N"]>>
      %2 = limosa.neg %1 : (tensor<?x3xf32, #limosa.enc<["N"]>>)
        -> tensor<?x3xf32, #limosa.enc<["N"]>>
      return %2 : tensor<?x3xf32, #limosa.enc<["N"]>>
    }
  })";

TEST(HostOp, RunsBetweenKernelsAtSeveralSizes) {
  auto M = Model::compile(ScaleModel, {}, {describe("Scale", scale)});
  ASSERT_TRUE(M);
  for (int64_t N : {1, 5, 0, 300}) {
    Tensor X = randomTensor(DType::F32, {N, 3});
    Tensor W = randomTensor(DType::F32, {2});
    auto Y = M->run({X, W});
    ASSERT_EQ(Y.size(), 1u);
    ASSERT_EQ(Y[0].dims(), X.dims());
    for (int64_t I = 0; I < X.elements(); ++I)
      EXPECT_FLOAT_EQ(Y[0].as<float>()[I],
                      3 * X.as<float>()[I] -
                          (W.as<float>()[0] + W.as<float>()[1]));
  }
}

TEST(HostOp, AllocatesWhatItFinds) {
  // What comes after is compiled for a size that only the call knows.
  auto M = Model::compile(R"(
    module attributes {limosa.symbols = {N = #limosa.symbol,
                                         U = #limosa.symbol}} {
      func.func @main(%x: tensor<?xf32, #limosa.enc<["N"]>>)
          -> (tensor<?xf32, #limosa.enc<["U"]>>, tensor<i64>, tensor<i64>)
          attributes {limosa.entry} {
        %0:2 = limosa.custom_call %x {target = "my.domain::Positive",
            symbols = ["U"], config = {}}
          : (tensor<?xf32, #limosa.enc<["N"]>>)
          -> (tensor<?xf32, #limosa.enc<["U"]>>, tensor<i64>)
        %1 = limosa.neg %0#0 : (tensor<?xf32, #limosa.enc<["U"]>>)
          -> tensor<?xf32, #limosa.enc<["U"]>>
        %2 = limosa.dim {expr = "U"} : () -> tensor<i64>
        return %1, %0#1, %2
          : tensor<?xf32, #limosa.enc<["U"]>>, tensor<i64>, tensor<i64>
      }
    })",
                          {}, {describe("Positive", positive)});
  ASSERT_TRUE(M);
  for (int64_t N : {7, 0, 1000, 3}) {
    Tensor X = randomTensor(DType::F32, {N}, unsigned(N));
    std::vector<float> Expected;
    for (int64_t I = 0; I < N; ++I)
      if (X.as<float>()[I] > 0)
        Expected.push_back(-X.as<float>()[I]);
    auto Y = M->run({X});
    ASSERT_EQ(Y.size(), 3u);
    ASSERT_EQ(Y[0].elements(), int64_t(Expected.size()));
    EXPECT_TRUE(std::equal(Expected.begin(), Expected.end(), Y[0].as<float>()));
    EXPECT_EQ(*Y[1].as<int64_t>(), int64_t(Expected.size()));
    EXPECT_EQ(*Y[2].as<int64_t>(), int64_t(Expected.size()));
  }
}

/// The message of a run of ScaleModel with another kernel.
std::string scaleError(int32_t (*Run)(const limosa_operator_call *)) {
  auto M = Model::compile(ScaleModel, {}, {describe("Scale", Run)});
  if (!M)
    return "no model";
  Tensor X = randomTensor(DType::F32, {2, 3}),
         W = randomTensor(DType::F32, {2});
  limosa_tensor In[2] = {}, Out = {};
  for (auto [T, V] : {std::pair(&In[0], &X), std::pair(&In[1], &W)}) {
    T->dtype = uint32_t(DType::F32);
    T->rank = V->rank();
    std::copy(V->dims().begin(), V->dims().end(), T->dims);
    T->data = V->data();
  }
  runtime::Status S = M->instance().run(0, In, {&Out, 1});
  limosa_tensor_release(&Out);
  return S.message();
}

TEST(HostOp, PassesErrorsOnInOneLine) {
  std::string Message = scaleError(refuse);
  EXPECT_NE(Message.find("(my.domain::Scale): does not like it"),
            std::string::npos)
      << Message;
  EXPECT_EQ(Message.find('\n'), std::string::npos) << Message;
}

TEST(HostOp, DoesNotTrustTheKernel) {
  EXPECT_NE(scaleError([](const limosa_operator_call *C) -> int32_t {
              int64_t Dims[] = {2, 4};
              C->allocate(C, 0, 2, Dims);
              return LIMOSA_STATUS_OK;
            }).find("output 0 has its memory already"),
            std::string::npos);
  EXPECT_NE(scaleError([](const limosa_operator_call *C) -> int32_t {
              C->allocate(C, 9, 0, nullptr);
              return LIMOSA_STATUS_OK;
            }).find("there is no output 9"),
            std::string::npos);
  EXPECT_NE(scaleError([](const limosa_operator_call *) {
              return int32_t(-77);
            }).find("status -77"),
            std::string::npos);
}

} // namespace
