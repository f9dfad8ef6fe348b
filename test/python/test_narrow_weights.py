"""Products with weights of 4 bits: right for all sizes, and the weights stay narrow."""

import numpy as np
import pytest
from compare import assert_same

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

RANDOM = np.random.default_rng(11)


def scales(*shape):
    return RANDOM.random(shape, dtype=np.float32) * 0.1 + 0.01


def packed(nibbles):
    """Two a byte, the lower half first; a row of odd length ends with half a byte."""
    flat = np.pad(nibbles.astype(np.uint8) & 15, [(0, 0)] * (nibbles.ndim - 1) + [(0, nibbles.shape[-1] % 2)])
    return flat[..., ::2] | flat[..., 1::2] << 4


def int4_tensor(name, values, kind=TensorProto.INT4):
    return helper.make_tensor(name, kind, values.shape, packed(values.reshape(1, -1)).tobytes(), raw=True)


def compare(limosa, tmp_path, nodes, constants, k, n, rows, opset=21):
    """Runs a model from x[M, k] to y[M, n] with several M; returns the size of what was compiled."""
    graph = helper.make_graph(
        nodes, "narrow", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["M", k])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["M", n])], constants)
    model = helper.make_model(graph, ir_version=10, opset_imports=[
        helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)])
    path, lim = tmp_path / "model.onnx", tmp_path / "model.lim"
    onnx.save(model, path)
    # Its optimisations round the rows of x to bytes.
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    limosa.compile(path, lim, threads=2)
    loaded = limosa.load(lim, threads=2)
    for m in rows:
        x = RANDOM.standard_normal((m, k)).astype(np.float32)
        assert_same(loaded.run({"x": x}), {"y": session.run(None, {"x": x})[0]})
    return lim.stat().st_size


@pytest.mark.parametrize("k, n, block", [(64, 8, 32), (50, 70, 16), (96, 33, 32), (128, 200, 128), (40, 17, 64)])
@pytest.mark.parametrize("points", [None, "packed", "floats"])
def test_matmul_nbits(limosa, tmp_path, k, n, block, points):
    blocks = -(-k // block)
    constants = [numpy_helper.from_array(packed(RANDOM.integers(0, 16, (n, blocks, block))), "q"),
                 numpy_helper.from_array(scales(n * blocks), "s")]
    if points:
        zero = RANDOM.integers(0, 16, (n, blocks))
        zero = packed(zero).reshape(-1) if points == "packed" else zero.reshape(-1).astype(np.float32)
        constants.append(numpy_helper.from_array(zero, "z"))
    node = helper.make_node("MatMulNBits", ["x", "q", "s"] + (["z"] if points else []), ["y"],
                            domain="com.microsoft", K=k, N=n, bits=4, block_size=block)
    compare(limosa, tmp_path, [node], constants, k, n, [1, 2, 3, 4, 15, 33])


def test_matmul_nbits_of_bytes(limosa, tmp_path):
    constants = [numpy_helper.from_array(RANDOM.integers(0, 256, (24, 3, 32), dtype=np.uint8), "q"),
                 numpy_helper.from_array(scales(24 * 3), "s")]
    node = helper.make_node("MatMulNBits", ["x", "q", "s"], ["y"], domain="com.microsoft", K=96, N=24, bits=8,
                            block_size=32)
    compare(limosa, tmp_path, [node], constants, 96, 24, [1, 5])


@pytest.mark.parametrize("kind", [TensorProto.INT4, TensorProto.UINT4])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("points", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
def test_dequantised_by_blocks(limosa, tmp_path, kind, axis, points, transposed):
    k, n, block = 96, 64, 32
    shape = (n, k) if transposed else (k, n)
    low = -8 if kind == TensorProto.INT4 else 0
    per_block = [size // block if d == axis else size for d, size in enumerate(shape)]
    constants = [int4_tensor("q", RANDOM.integers(low, low + 16, shape), kind),
                 numpy_helper.from_array(scales(*per_block), "s")]
    if points:
        constants.append(int4_tensor("z", RANDOM.integers(low, low + 16, per_block), kind))
    nodes = [helper.make_node("DequantizeLinear", ["q", "s"] + (["z"] if points else []), ["w"], axis=axis,
                              block_size=block),
             helper.make_node("Gemm", ["x", "w"], ["y"], transB=1) if transposed else
             helper.make_node("MatMul", ["x", "w"], ["y"])]
    compare(limosa, tmp_path, nodes, constants, k, n, [1, 3, 20])


@pytest.mark.parametrize("op", ["MatMulNBits", "DequantizeLinear"])
def test_weights_stay_narrow(limosa, tmp_path, op):
    k, n, block = 1024, 1024, 32
    if op == "MatMulNBits":
        constants = [numpy_helper.from_array(RANDOM.integers(0, 256, (n, k // block, block // 2), dtype=np.uint8), "q"),
                     numpy_helper.from_array(scales(n * k // block), "s")]
        nodes = [helper.make_node(op, ["x", "q", "s"], ["y"], domain="com.microsoft", K=k, N=n, bits=4,
                                  block_size=block)]
    else:
        constants = [int4_tensor("q", RANDOM.integers(-8, 8, (k, n))),
                     numpy_helper.from_array(scales(k // block, n), "s")]
        nodes = [helper.make_node(op, ["q", "s"], ["w"], axis=0, block_size=block),
                 helper.make_node("MatMul", ["x", "w"], ["y"])]
    size = compare(limosa, tmp_path, nodes, constants, k, n, [1, 7])
    assert size < k * n // 2 + 4 * k * n // block + 100_000
