"""Models with operators of the user's own, for the tests of those."""

import numpy as np
import onnx
from onnx import TensorProto, helper

F32 = TensorProto.FLOAT


def save(tmp_path, nodes, inputs, outputs, initializers=(), functions=(), name="model.onnx"):
    """A model of opset 17 and my.domain 1; inputs and outputs are (name, type, shape)."""
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info(*i) for i in inputs],
                              [helper.make_tensor_value_info(*o) for o in outputs],
                              list(initializers))
    model = helper.make_model(graph, ir_version=8, functions=list(functions), opset_imports=[
        helper.make_opsetid("", 17), helper.make_opsetid("my.domain", 1)])
    onnx.save(model, tmp_path / name)
    return tmp_path / name


def node(op, inputs, outputs, name=None, domain="my.domain", **attributes):
    return helper.make_node(op, inputs, outputs, name=name or f"the_{op}", domain=domain,
                            **attributes)


def chain(tmp_path, op="Op", rank=1, dims=("N",), **attributes):
    """y = -Op(-x)"""
    nodes = [node("Neg", ["x"], ["a"], domain=""), node(op, ["a"], ["b"], **attributes),
             node("Neg", ["b"], ["y"], domain="")]
    return save(tmp_path, nodes, [("x", F32, dims)], [("y", F32, None)])


def random(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)
