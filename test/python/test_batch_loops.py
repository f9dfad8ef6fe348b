"""Batches of which the first layers are done element by element, against onnxruntime."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper


def _normal(rng, *shape):
    return rng.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32)


def _nodes(mixes):
    """A network with what picture networks have; `mixes`: a mean over the batch."""
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w0", "b0"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["r"]),
        node("Conv", ["r", "w1"], ["c"], group=8, pads=[1, 1, 1, 1]),
        node("GlobalAveragePool", ["c"], ["m"]),
        node("Sigmoid", ["m"], ["gate"]),
        node("Mul", ["c", "gate"], ["e"]),
        node("Concat", ["e", "r"], ["f"], axis=1),
        node("MaxPool", ["f"], ["g"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Add", ["g", "table"], ["h"]),
        node("Transpose", ["h"], ["t"], perm=[0, 2, 3, 1]),
        node("Reshape", ["t", "shape"], ["u"]),
        node("MatMul", ["u", "w2"], ["v"]),
        node("Softmax", ["v"], ["s"], axis=-1)]
    if mixes:
        nodes.append(node("ReduceMean", ["s"], ["mean"], axes=[0], keepdims=1))
        nodes.append(node("Sub", ["s", "mean"], ["y"]))
    else:
        nodes.append(node("Identity", ["s"], ["y"]))
    return nodes


@pytest.fixture
def model(tmp_path):
    def make(batch, mixes):
        rng = np.random.default_rng(0)
        weights = {"w0": _normal(rng, 8, 3, 3, 3), "b0": _normal(rng, 8, 1)[:, 0],
                   "w1": _normal(rng, 8, 1, 3, 3), "w2": _normal(rng, 16, 5).copy(),
                   "table": _normal(rng, 1, 16, 4, 4), "shape": np.array([batch, 16, 16])}
        graph = helper.make_graph(
            _nodes(mixes), "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, 17, 16])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
             helper.make_tensor_value_info("e", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(w, n) for n, w in weights.items()])
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        made.ir_version = 8
        path = tmp_path / "model.onnx"
        onnx.save(made, path)
        return path
    return make


@pytest.mark.parametrize("mixes", [False, True])
@pytest.mark.parametrize("batch", [2, 3, 16])
@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_a_batch_in_a_loop_gives_the_same(limosa, model, batch, mixes, precision):
    path = model(batch, mixes)
    x = np.random.default_rng(1).normal(0, 1, (batch, 3, 17, 16)).astype(np.float32)
    expected = onnxruntime.InferenceSession(str(path)).run(["y", "e"], {"x": x})
    tolerance = 1e-5 if precision == "f32" else 3e-2
    for use in ("always", "off"):
        found = limosa.load(path, precision=precision, flags={"batch-loops": use}).run({"x": x})
        for name, value in zip(("y", "e"), expected):
            np.testing.assert_allclose(found[name], value, rtol=0,
                                       atol=tolerance * np.abs(value).max())


def test_only_large_batches_of_pictures_get_a_loop(limosa_command, model, tmp_path):
    """Small tensors stay in the caches as they are."""
    text = tmp_path / "core.mlir"
    path = model(4, mixes=False)
    for use, expected in (("on", False), ("always", True)):
        limosa_command("compile", path, "--emit=mlir-core", "-o", text, "-f", f"batch-loops={use}")
        assert ("limosa.while" in text.read_text()) == expected
