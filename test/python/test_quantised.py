"""Quantised products: operators on integers, and floats between DequantizeLinear and QuantizeLinear."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from onnx import helper, numpy_helper  # noqa: E402

RANDOM = np.random.default_rng(11)
BYTES = [np.uint8, np.int8]


def integers(dtype, *shape):
    info = np.iinfo(dtype)
    return RANDOM.integers(info.min, info.max, shape, dtype, endpoint=True)


def scales(*shape):
    return RANDOM.uniform(0.005, 0.02, shape).astype(np.float32)


def run_both(limosa, tmp_path, nodes, given, constants, output):
    """Our output and onnxruntime's without its fusions."""
    graph = helper.make_graph(
        nodes, "quantised",
        [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
         for n, a in given.items()],
        [onnx.ValueInfoProto(name=output)],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items()])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    want = session.run(None, given)[0]
    have = limosa.load(path, threads=2).run(given)[output]
    assert have.dtype == want.dtype and have.shape == want.shape
    return have, want


@pytest.mark.parametrize("left", BYTES)
@pytest.mark.parametrize("right", BYTES)
@pytest.mark.parametrize("points", ["none", "scalars", "columns"])
def test_matmul_integer(limosa, tmp_path, left, right, points):
    a, b = integers(left, 3, 7, 45), integers(right, 45, 20)
    names, constants = ["a", "b"], {"b": b}
    if points != "none":
        names += ["za", "zb"]
        constants["za"] = left(13)
        constants["zb"] = integers(right, 20) if points == "columns" else right(77)
    node = helper.make_node("MatMulInteger", names, ["y"])
    want = a.astype(np.int32) - np.int32(constants.get("za", 0))
    want = want @ (b.astype(np.int32) - constants.get("zb", np.zeros(1)).astype(np.int32))
    if left == np.int8 and right == np.uint8:  # onnxruntime has no kernel
        node_only = helper.make_graph(
            [node], "g", [helper.make_tensor_value_info("a", onnx.TensorProto.INT8, a.shape)],
            [onnx.ValueInfoProto(name="y")],
            [numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()])
        path = tmp_path / "model.onnx"
        onnx.save(helper.make_model(node_only, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path)
        have = limosa.load(path, threads=2).run({"a": a})["y"]
    else:
        have, _ = run_both(limosa, tmp_path, [node], {"a": a}, constants, "y")
    np.testing.assert_array_equal(have, want)


def integer_convolution(x, w, point_x, point_w, pad, groups):
    """Plain loops over the window."""
    x = np.pad(x.astype(np.int64) - int(point_x), [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    w = w.astype(np.int64) - np.asarray(point_w, np.int64).reshape(-1, 1, 1, 1)
    out, depth, size = w.shape[0], w.shape[1], w.shape[2]
    height, width = x.shape[2] - size + 1, x.shape[3] - size + 1
    y = np.zeros((x.shape[0], out, height, width), np.int64)
    for o in range(out):
        first = o // (out // groups) * depth
        for i in range(size):
            for j in range(size):
                part = x[:, first:first + depth, i:i + height, j:j + width]
                y[:, o] += np.einsum("nchw,c->nhw", part, w[o, :, i, j])
    return y.astype(np.int32)


@pytest.mark.parametrize("image", BYTES)
@pytest.mark.parametrize("filter_type", BYTES)
@pytest.mark.parametrize("point_w", [0, 128, 50, "each"])
@pytest.mark.parametrize("groups,channels,out", [(1, 8, 20), (1, 3, 16), (2, 8, 12), (24, 24, 24)])
def test_conv_integer(limosa, tmp_path, image, filter_type, point_w, groups, channels, out):
    if filter_type == np.int8 and point_w == 128:
        point_w = -128
    x, w = integers(image, 2, channels, 9, 7), integers(filter_type, out, channels // groups, 3, 3)
    zw = integers(filter_type, out) if point_w == "each" else np.full(1, point_w, filter_type)[0]
    zx = image(100)
    node = helper.make_node("ConvInteger", ["x", "w", "zx", "zw"], ["y"], pads=[1, 1, 1, 1], group=groups)
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)],
        [onnx.ValueInfoProto(name="y")],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in (("w", w), ("zx", zx), ("zw", zw))])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path)
    have = limosa.load(path, threads=2).run({"x": x})["y"]
    points = np.broadcast_to(zw, out)
    np.testing.assert_array_equal(have, integer_convolution(x, w, zx, points, 1, groups))


def quantised(name, scale, point):
    return helper.make_node("QuantizeLinear", [name, scale, point], [name + "_q"])


def dequantised(name, scale, point, **attributes):
    return helper.make_node("DequantizeLinear", [name, scale, point], [name + "_f"], **attributes)


@pytest.mark.parametrize("byte", BYTES)
@pytest.mark.parametrize("weight", BYTES)
@pytest.mark.parametrize("per_channel", [False, True])
def test_convolution_between_pairs(limosa, tmp_path, byte, weight, per_channel):
    columns = (16,) if per_channel else ()
    constants = {
        "sx": np.float32(0.02), "zx": byte(20), "sy": np.float32(0.3), "zy": byte(90),
        "w": integers(weight, 16, 8, 3, 3), "sw": scales(*columns),
        "zw": np.full(columns, 0 if weight == np.int8 else 128, weight),
        "b": integers(np.int32, 16) // 2**20, "sb": np.float32(0.0002), "zb": np.int32(0)}
    nodes = [quantised("x", "sx", "zx"), dequantised("x_q", "sx", "zx"),
             dequantised("w", "sw", "zw", axis=0), dequantised("b", "sb", "zb"),
             helper.make_node("Conv", ["x_q_f", "w_f", "b_f"], ["c"], pads=[1, 1, 1, 1]),
             helper.make_node("Relu", ["c"], ["y"]), quantised("y", "sy", "zy")]
    x = RANDOM.standard_normal((1, 8, 9, 9)).astype(np.float32)
    have, want = run_both(limosa, tmp_path, nodes, {"x": x}, constants, "y_q")
    assert np.abs(have.astype(int) - want.astype(int)).max() <= 1


@pytest.mark.parametrize("byte", BYTES)
@pytest.mark.parametrize("weight", BYTES)
@pytest.mark.parametrize("op", ["MatMul", "Gemm", "transposed"])
def test_product_between_pairs(limosa, tmp_path, byte, weight, op):
    turned = op == "transposed"
    constants = {
        "sx": np.float32(0.02), "zx": byte(20),
        "w": integers(weight, *((20, 32) if turned else (32, 20))), "sw": scales(20),
        "zw": integers(weight, 20)}
    product = helper.make_node("MatMul" if op == "MatMul" else "Gemm", ["x_q_f", "w_f"], ["y"],
                               **({"transB": 1} if turned else {}))
    nodes = [quantised("x", "sx", "zx"), dequantised("x_q", "sx", "zx"),
             dequantised("w", "sw", "zw", axis=0 if turned else 1), product]
    x = RANDOM.standard_normal((5, 32)).astype(np.float32)
    have, want = run_both(limosa, tmp_path, nodes, {"x": x}, constants, "y")
    np.testing.assert_allclose(have, want, rtol=1e-5, atol=1e-4)


def test_dynamic_quantisation(limosa, tmp_path):
    w = integers(np.int8, 64, 48)
    nodes = [helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
             helper.make_node("MatMulInteger", ["q", "w", "z"], ["p"]),
             helper.make_node("Cast", ["p"], ["f"], to=onnx.TensorProto.FLOAT),
             helper.make_node("Mul", ["s", "sw"], ["sx"]), helper.make_node("Mul", ["f", "sx"], ["y"])]
    x = RANDOM.standard_normal((2, 7, 64)).astype(np.float32)
    have, want = run_both(limosa, tmp_path, nodes, {"x": x}, {"w": w, "sw": np.float32(0.01)}, "y")
    np.testing.assert_allclose(have, want, rtol=1e-5, atol=1e-3 * np.abs(want).max())
