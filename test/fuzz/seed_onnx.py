"""Copies small models of all kinds out of the onnx package: seeds of FuzzOnnx."""

import pathlib
import shutil
import sys

import onnx

KINDS = ["if", "loop11", "scan9_sum", "lstm_defaults", "conv_with_strides_padding",
         "reshape_negative_dim", "sequence_insert_at_back", "resize_upsample_scales_linear",
         "layer_normalization_2d_axis0_expanded", "qlinearmatmul_2D_uint8_float32", "constant_pad"]

cases = pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data" / "node"
folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for kind in KINDS:
    model = cases / f"test_{kind}" / "model.onnx"
    if model.exists():
        shutil.copy(model, folder / f"{kind}.onnx")

# Operators of users, which FuzzOnnx registers.
value = onnx.helper.make_tensor_value_info
tensor = onnx.helper.make_tensor("", onnx.TensorProto.INT32, [2, 2], [1, 2, 3, 4])
nodes = [onnx.helper.make_node("Call", ["x", "", "w"], ["a", "", "b"], domain="fuzz", i=3, f=0.5,
                               s="text", ints=[1, 2], floats=[0.5], strings=["a", "b"], t=tensor),
         onnx.helper.make_node("Body", ["b"], ["y"], domain="fuzz", op="LeakyRelu", alpha=0.25)]
graph = onnx.helper.make_graph(nodes, "users", [value("x", 1, ["N", 2]), value("w", 1, ["N", 2])],
                               [value("a", 1, None), value("y", 1, None)])
onnx.save(onnx.helper.make_model(graph, ir_version=8, opset_imports=[
    onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("fuzz", 1)]), folder / "users.onnx")
