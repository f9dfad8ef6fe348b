//===- CustomOperatorTest.cpp - operator.hpp, from the model to results ---===//

#include "Harness.h"
#include "limosa/Frontend/ImportOnnx.h"
#include "limosa/limosa.h"
#include "limosa/operator.hpp"
#include "onnx-ml.pb.h"

#include <gtest/gtest.h>

using namespace limosa;
using namespace limosa::test;

namespace {

/// A model of one node my.domain::Op with inputs x0, x1 .. (f32[N]) and outputs
/// y0, y1 ..; as core ops.
struct OneNode {
  OneNode(unsigned Inputs, unsigned Outputs) {
    Proto.set_ir_version(8);
    Proto.add_opset_import()->set_version(17);
    auto *Own = Proto.add_opset_import();
    Own->set_domain("my.domain");
    Own->set_version(1);
    Proto.mutable_graph()->set_name("test");
    Node = Proto.mutable_graph()->add_node();
    Node->set_op_type("Op");
    Node->set_domain("my.domain");
    Node->set_name("the node");
    for (unsigned I = 0; I < Inputs; ++I) {
      auto *In = Proto.mutable_graph()->add_input();
      In->set_name("x" + std::to_string(I));
      auto *T = In->mutable_type()->mutable_tensor_type();
      T->set_elem_type(onnx::TensorProto::FLOAT);
      T->mutable_shape()->add_dim()->set_dim_param("N");
      Node->add_input(In->name());
    }
    for (unsigned O = 0; O < Outputs; ++O) {
      Node->add_output("y" + std::to_string(O));
      Proto.mutable_graph()->add_output()->set_name(Node->output(int(O)));
    }
  }

  /// The import's error, or "" and the program as text in `Text`.
  std::string import(const Operator &Op) {
    limosa_operator Table = Op.describe();
    if (!Table.since_version)
      Table.since_version = 1;
    OnnxImportOptions Options;
    Options.Operators = {&Table};
    mlir::MLIRContext Context(mlir::MLIRContext::Threading::DISABLED);
    prepareContext(Context);
    std::string Bytes, Error;
    Proto.SerializeToString(&Bytes);
    auto Module = importOnnxBytes(Context, Bytes, ".", Options);
    if (Module) {
      Text.clear();
      llvm::raw_string_ostream(Text) << **Module;
    } else {
      Error = llvm::toString(Module.takeError());
    }
    Table.release(Table.user);
    return Error;
  }

  std::vector<Tensor> run(const Operator &Op, std::vector<Tensor> Inputs) {
    EXPECT_EQ(import(Op), "");
    auto M = Model::compile(Text, {}, {Op.describe()});
    return M ? M->run(std::move(Inputs)) : std::vector<Tensor>();
  }

  onnx::ModelProto Proto;
  onnx::NodeProto *Node;
  std::string Text;
};

TEST(CustomOperator, KernelWithSeveralOutputs) {
  OneNode M(2, 2);
  Operator Op("my.domain", "Op");
  Op.shape([](OperatorShapes &S) {
      S.same(0, 0);
      S.set(1, LIMOSA_I64, {"2*N + 1", "?"});
    }).kernel([](OperatorCall &C) {
    for (uint64_t I = 0; I < C.in(0)->elements; ++I)
      C.output<float>(0)[I] = C.input<float>(0)[I] - C.input<float>(1)[I];
    int64_t N = C.in(0)->dims[0];
    if (auto *Y = C.allocate<int64_t>(1, {2 * N + 1, 3}))
      std::fill_n(Y, (2 * N + 1) * 3, N);
  });
  Tensor X = randomTensor(DType::F32, {5}),
         Y = randomTensor(DType::F32, {5}, 2);
  auto Out = M.run(Op, {X, Y});
  ASSERT_EQ(Out.size(), 2u);
  for (int I = 0; I < 5; ++I)
    EXPECT_EQ(Out[0].as<float>()[I], X.as<float>()[I] - Y.as<float>()[I]);
  EXPECT_EQ(Out[1].dims(), (reference::Shape{11, 3}));
  EXPECT_EQ(Out[1].as<int64_t>()[32], 5);
}

TEST(CustomOperator, BodyIsCoreOps) {
  OneNode M(1, 1);
  Operator Op("my.domain", "Op");
  Op.body([](OperatorBody &B) {
    auto Half = B.constant<float>(LIMOSA_F32, {}, {0.5f});
    auto Y = B.make("Mul", {B.make("Erf", {0}), Half});
    auto Parts = B.make("Split", {Y}, {{"num_outputs", 1}}, 1);
    B.set(0, Parts[0]);
  });
  EXPECT_EQ(M.import(Op), "");
  EXPECT_EQ(M.Text.find("custom_call"), std::string::npos);
  EXPECT_NE(M.Text.find("limosa.erf"), std::string::npos);
  // In the body the operator's own name is not this operator.
  Op.body([](OperatorBody &B) { B.set(0, B.make("my.domain::Op", {0})); });
  EXPECT_NE(M.import(Op).find("operator not supported"), std::string::npos);
}

TEST(CustomOperator, MessagesNameTheNode) {
  OneNode M(1, 1);
  Operator Op("my.domain", "Op");
  Op.shape([](OperatorShapes &S) {
      S.fail("no shape\nat all");
    }).kernel([](OperatorCall &) {});
  std::string Error = M.import(Op);
  EXPECT_NE(Error.find("'the node' (my.domain, version 1): the shape "
                       "function: no shape"),
            std::string::npos)
      << Error;
  EXPECT_EQ(Error.find("at all"), std::string::npos);
}

TEST(CustomOperator, WhatAShapeFunctionMustNotSay) {
  OneNode M(1, 1);
  auto Error = [&](std::function<void(OperatorShapes &)> Shape) {
    Operator Op("my.domain", "Op");
    Op.shape(std::move(Shape)).kernel([](OperatorCall &) {});
    return M.import(Op);
  };
  auto Expect = [](const std::string &Message, const char *Part) {
    EXPECT_NE(Message.find(Part), std::string::npos) << Message;
  };
  Expect(Error([](OperatorShapes &) {}), "says nothing of output 0");
  Expect(Error([](OperatorShapes &S) { S.set(1, LIMOSA_F32, {}); }),
         "there is no output 1");
  Expect(Error([](OperatorShapes &S) { S.set(0, 999, {}); }),
         "unknown element type 999");
  Expect(Error([](OperatorShapes &S) {
           S.set(0, LIMOSA_F32, std::vector<std::string>(17, "1"));
         }),
         "rank 17");
  Expect(Error([](OperatorShapes &S) { S.set(0, LIMOSA_F32, {"M"}); }),
         "no input has 'M'");
  Expect(Error([](OperatorShapes &S) { S.set(0, LIMOSA_F32, {"N*"}); }),
         "dimension 'N*'");
}

TEST(CustomOperator, WhoeverSaysWhyHasFailed) {
  OneNode M(1, 1);
  Operator Op("my.domain", "Op");
  Op.shape([](OperatorShapes &S) {
      S.same(0, 0);
      S.fail("a doubt", LIMOSA_STATUS_OK);
      S.fail("another");
    }).kernel([](OperatorCall &) {});
  EXPECT_NE(M.import(Op).find("the shape function: a doubt"),
            std::string::npos);
  Op.body([](OperatorBody &B) {
    B.set(0, 0);
    B.fail("no body", LIMOSA_STATUS_OK);
  });
  EXPECT_NE(M.import(Op).find("the operator's body: no body"),
            std::string::npos);
}

TEST(CustomOperator, ModelsAreHeldToTheArity) {
  auto Error = [](unsigned Inputs, unsigned Outputs, bool FirstGiven = true) {
    OneNode M(Inputs, Outputs);
    if (!FirstGiven)
      M.Node->set_input(0, "");
    Operator Op("my.domain", "Op");
    Op.inputs(1, 2).outputs(1).body([](OperatorBody &B) { B.set(0, 0); });
    return M.import(Op);
  };
  EXPECT_EQ(Error(1, 1), "");
  EXPECT_EQ(Error(2, 1), "");
  EXPECT_NE(Error(3, 1).find("takes 1 to 2 inputs, not 3"), std::string::npos);
  EXPECT_NE(Error(2, 2).find("gives 1 output, not 2"), std::string::npos);
  EXPECT_NE(Error(2, 1, false).find("needs its input 0"), std::string::npos);
}

} // namespace
