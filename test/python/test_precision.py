"""Models of f32 compiled with precision="bf16"."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper


def _save(path, nodes, inputs, outputs, weights):
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, t, s) for n, (t, s) in outputs.items()],
        [numpy_helper.from_array(w, n) for n, w in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def _normal(rng, *shape, scale=None):
    scale = scale or 1 / np.sqrt(np.prod(shape[1:]))
    return rng.normal(0, scale, shape).astype(np.float32)


def _compare(limosa, path, inputs, tolerance=3e-2, **options):
    exact = limosa.load(path, **options).run(inputs)
    near = limosa.load(path, precision="bf16", **options).run(inputs)
    for name, expected in exact.items():
        assert near[name].dtype == expected.dtype
        off = np.abs(near[name] - expected).max() / np.abs(expected).max()
        assert 0 < off < tolerance, f"{name} is off by {off}"


@pytest.fixture
def small_cnn(tmp_path):
    """Convolutions of all kinds, a residual, a pool, a dense layer."""
    rng = np.random.default_rng(1)
    weights = {
        "w0": _normal(rng, 32, 3, 7, 7), "b0": _normal(rng, 32, scale=0.1),
        "w1": _normal(rng, 64, 32, 1, 1), "w2": _normal(rng, 64, 1, 3, 3),
        "w3": _normal(rng, 64, 64, 3, 3), "w4": _normal(rng, 10, 64)}
    nodes = [
        helper.make_node("Conv", ["x", "w0", "b0"], ["a"], strides=[2, 2], pads=[3, 3, 3, 3]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w1"], ["c"]),
        helper.make_node("Conv", ["c", "w2"], ["d"], group=64, pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["d"], ["e"]),
        helper.make_node("Conv", ["e", "w3"], ["f"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["f", "c"], ["g"]),
        helper.make_node("MaxPool", ["g"], ["h"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["h"], ["i"]),
        helper.make_node("Flatten", ["i"], ["j"]),
        helper.make_node("Gemm", ["j", "w4"], ["y"], transB=1)]
    return _save(tmp_path / "cnn.onnx", nodes, {"x": ["n", 3, "h", "w"]},
                 {"y": (TensorProto.FLOAT, ["n", 10])}, weights)


@pytest.mark.parametrize("isa", ["auto", "avx2"])
@pytest.mark.parametrize("shape", [(1, 3, 56, 56), (2, 3, 37, 61)])
def test_convolutions(limosa, small_cnn, shape, isa):
    x = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    _compare(limosa, small_cnn, {"x": x}, isa=isa)


@pytest.mark.parametrize("name", ["small-bert", "lstm"])
def test_models(limosa, model_file, name):
    path = model_file(name)
    model = limosa.load(path)
    rng = np.random.default_rng(3)
    sizes = {"batch": 2, "seq": 17}
    inputs = {}
    for value in model.inputs:
        shape = [s if isinstance(s, int) else sizes.get(s, 17) for s in value.shape]
        inputs[value.name] = (rng.normal(size=shape).astype(np.float32)
                              if value.dtype == "float32" else
                              np.ones(shape, value.dtype))
    _compare(limosa, path, inputs, tolerance=5e-2)


def test_files_are_half_as_large(limosa, tmp_path):
    rng = np.random.default_rng(4)
    path = _save(tmp_path / "dense.onnx",
                 [helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": ["n", 512]},
                 {"y": (TensorProto.FLOAT, ["n", 1024])}, {"w": _normal(rng, 512, 1024)})
    sizes = []
    for precision in ("f32", "bf16"):
        limosa.compile(path, tmp_path / "m.lim", precision=precision)
        sizes.append((tmp_path / "m.lim").stat().st_size)
    assert sizes[1] < 0.55 * sizes[0]


def test_what_is_ordered_keeps_its_precision(limosa, tmp_path):
    """The largest of nearly equal numbers is found as f32 finds it."""
    path = _save(tmp_path / "top.onnx",
                 [helper.make_node("Mul", ["x", "x"], ["s"]),
                  helper.make_node("ArgMax", ["s"], ["y"], axis=1)], {"x": [1, 1000]},
                 {"y": (TensorProto.INT64, [1, 1])}, {})
    x = (1 + np.random.default_rng(5).permutation(1000) * 1e-5).astype(np.float32)[None]
    result = limosa.load(path, precision="bf16").run({"x": x})
    assert result["y"][0, 0] == (x * x).argmax()


def test_verify_reports_the_difference(limosa_command, small_cnn):
    run = limosa_command("verify", small_cnn, "--precision", "bf16", "--json",
                         "--size", "n=1", "--size", "h=32", "--size", "w=32")
    found = json.loads(run.stdout)
    assert found["precision"] == "bf16"
    assert not found["wrong"]
    assert 1e-4 < found["outputs"][0]["difference"] < 3e-2


def test_unknown_precisions(limosa, small_cnn):
    with pytest.raises((ValueError, NotImplementedError, limosa.Error), match="f32 or bf16"):
        limosa.load(small_cnn, precision="f8")
