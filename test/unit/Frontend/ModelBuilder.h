//===- ModelBuilder.h - ONNX models for tests -------------------*- C++ -*-===//

#ifndef LIMOSA_TEST_UNIT_FRONTEND_MODELBUILDER_H
#define LIMOSA_TEST_UNIT_FRONTEND_MODELBUILDER_H

#include "limosa/Frontend/ImportOnnx.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "onnx-ml.pb.h"

#include <string>
#include <vector>

namespace limosa {

/// Writes a model node by node.
class ModelBuilder {
public:
  explicit ModelBuilder(int64_t Opset = 17) {
    Proto.set_ir_version(8);
    Proto.add_opset_import()->set_version(Opset);
    Proto.mutable_graph()->set_name("test");
  }

  onnx::ModelProto Proto;
  onnx::GraphProto &graph() { return *Proto.mutable_graph(); }

  /// Digits are sizes, everything else names a symbol.
  static void setType(onnx::ValueInfoProto &Info, const std::string &Name,
                      const std::vector<std::string> &Dims,
                      int Type = onnx::TensorProto::FLOAT) {
    Info.set_name(Name);
    auto *T = Info.mutable_type()->mutable_tensor_type();
    T->set_elem_type(Type);
    auto *Shape = T->mutable_shape();
    for (const std::string &D : Dims) {
      auto *Dim = Shape->add_dim();
      if (!D.empty() && isdigit(static_cast<unsigned char>(D[0])))
        Dim->set_dim_value(std::stoll(D));
      else if (!D.empty())
        Dim->set_dim_param(D);
    }
  }
  void input(const std::string &Name, const std::vector<std::string> &Dims,
             int Type = onnx::TensorProto::FLOAT) {
    setType(*graph().add_input(), Name, Dims, Type);
  }
  void output(const std::string &Name) { graph().add_output()->set_name(Name); }
  onnx::TensorProto &floats(const std::string &Name, std::vector<int64_t> Dims,
                            std::vector<float> Values) {
    auto *T = graph().add_initializer();
    T->set_name(Name);
    T->set_data_type(onnx::TensorProto::FLOAT);
    for (int64_t D : Dims)
      T->add_dims(D);
    for (float V : Values)
      T->add_float_data(V);
    return *T;
  }
  onnx::TensorProto &ints(const std::string &Name,
                          std::vector<int64_t> Values) {
    auto *T = graph().add_initializer();
    T->set_name(Name);
    T->set_data_type(onnx::TensorProto::INT64);
    T->add_dims(int64_t(Values.size()));
    for (int64_t V : Values)
      T->add_int64_data(V);
    return *T;
  }
  onnx::NodeProto &node(const std::string &Op,
                        const std::vector<std::string> &Inputs,
                        const std::vector<std::string> &Outputs) {
    return node(graph(), Op, Inputs, Outputs);
  }
  static onnx::NodeProto &node(onnx::GraphProto &G, const std::string &Op,
                               const std::vector<std::string> &Inputs,
                               const std::vector<std::string> &Outputs) {
    auto *N = G.add_node();
    N->set_op_type(Op);
    N->set_name(Op + "_" + (Outputs.empty() ? "" : Outputs[0]));
    for (const std::string &I : Inputs)
      N->add_input(I);
    for (const std::string &O : Outputs)
      N->add_output(O);
    return *N;
  }
  static void attr(onnx::NodeProto &N, const std::string &Name, int64_t V) {
    auto *A = N.add_attribute();
    A->set_name(Name);
    A->set_type(onnx::AttributeProto::INT);
    A->set_i(V);
  }

  llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>>
  import(mlir::MLIRContext &Context, const OnnxImportOptions &Options = {}) {
    // The bytes have to live as long as the module's weights: they are parsed.
    std::string Bytes;
    Proto.SerializeToString(&Bytes);
    return importOnnxBytes(Context, Bytes, ".", Options);
  }
  /// The error's text, or "" when the import works.
  std::string error(mlir::MLIRContext &Context) {
    auto Module = import(Context);
    return Module ? "" : llvm::toString(Module.takeError());
  }
  /// The type of result `I` of main as text; the error if the import fails.
  std::string resultType(mlir::MLIRContext &Context, unsigned I = 0) {
    auto Module = import(Context);
    if (!Module)
      return llvm::toString(Module.takeError());
    auto Main = (*Module)->lookupSymbol<mlir::func::FuncOp>("main");
    std::string Text;
    llvm::raw_string_ostream OS(Text);
    Main.getResultTypes()[I].print(OS);
    return Text;
  }
};

} // namespace limosa

#endif // LIMOSA_TEST_UNIT_FRONTEND_MODELBUILDER_H
