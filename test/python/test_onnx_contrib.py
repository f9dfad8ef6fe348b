"""Operators that ONNX's suite has no cases for, against onnxruntime on one node each."""

import numpy as np
import pytest
from compare import assert_same

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from onnx import helper, numpy_helper  # noqa: E402

RANDOM = np.random.default_rng(7)


def floats(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def integers(dtype, *shape):
    info = np.iinfo(dtype)
    return RANDOM.integers(info.min, info.max, shape, dtype, endpoint=True)


def scalar(value, dtype=np.float32):
    return np.array(value, dtype)


def check(limosa, tmp_path, op, inputs, outputs=1, domain="com.microsoft", constants=(), exact=False,
          tolerance=None, **attributes):
    """`inputs`: arrays, None where there is none; those at `constants` are initialisers."""
    names = ["" if array is None else f"x{k}" for k, array in enumerate(inputs)]
    node = helper.make_node(op, names, [f"y{k}" for k in range(outputs)], domain=domain, **attributes)
    given = {n: a for k, (n, a) in enumerate(zip(names, inputs)) if n and k not in constants}
    graph = helper.make_graph(
        [node], op,
        [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
         for n, a in given.items()],
        [onnx.ValueInfoProto(name=f"y{k}") for k in range(outputs)],
        [numpy_helper.from_array(inputs[k], names[k]) for k in constants])
    made = helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1),
        helper.make_opsetid("ai.onnx.ml", 3)])
    path = tmp_path / "model.onnx"
    onnx.save(made, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    want = dict(zip([f"y{k}" for k in range(outputs)], session.run(None, given)))
    have = limosa.load(path, threads=2).run(given)
    for name, array in want.items():
        if np.issubdtype(array.dtype, np.integer) and not exact:
            # A quantised value that lies between two steps may become either.
            assert have[name].dtype == array.dtype
            apart = have[name].astype(np.int64) - array.astype(np.int64)
            assert np.abs(apart).max(initial=0) <= 1
        else:
            assert_same({name: have[name]}, {name: array}, *([tolerance] if tolerance else []))


BYTES = pytest.mark.parametrize("byte", [np.uint8, np.int8])


@BYTES
@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
def test_quantised_arithmetic(limosa, tmp_path, op, byte):
    check(limosa, tmp_path, op,
          [integers(byte, 2, 3, 8), scalar(0.05), scalar(3, byte), integers(byte, 8), scalar(0.02),
           scalar(5, byte), scalar(0.06), scalar(7, byte)])


@BYTES
@pytest.mark.parametrize("op", ["QLinearSigmoid", "QLinearLeakyRelu"])
def test_quantised_activations(limosa, tmp_path, op, byte):
    check(limosa, tmp_path, op,
          [integers(byte, 4, 9), scalar(0.05), scalar(3, byte), scalar(0.02), scalar(7, byte)],
          constants=(1, 2, 3, 4))


def test_quantised_softmax(limosa, tmp_path):
    check(limosa, tmp_path, "QLinearSoftmax",
          [integers(np.uint8, 4, 9), scalar(0.05), scalar(3, np.uint8), scalar(1 / 256),
           scalar(0, np.uint8)], constants=(1, 2, 3, 4), axis=-1, opset=13)


def test_quantised_global_average(limosa, tmp_path):
    check(limosa, tmp_path, "QLinearGlobalAveragePool",
          [integers(np.uint8, 2, 5, 7, 7), scalar(0.05), scalar(3, np.uint8), scalar(0.02),
           scalar(7, np.uint8)])


def test_quantised_average(limosa, tmp_path):
    check(limosa, tmp_path, "QLinearAveragePool",
          [integers(np.uint8, 2, 5, 7, 7), scalar(0.05), scalar(3, np.uint8), scalar(0.04),
           scalar(7, np.uint8)], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])


@pytest.mark.parametrize("byte", [np.uint8, np.int8])
def test_quantised_convolution(limosa, tmp_path, byte):
    """With a zero point, padding stands for that."""
    check(limosa, tmp_path, "QLinearConv",
          [integers(byte, 2, 8, 9, 9), scalar(0.02), scalar(19, byte), integers(np.int8, 12, 4, 3, 3),
           np.abs(floats(12)) * 0.01, np.zeros(12, np.int8), scalar(0.1), scalar(100, byte),
           integers(np.int32, 12) // 2**20],
          domain="", constants=(3, 4, 5, 8), pads=[1, 1, 1, 1], strides=[2, 1], group=2)


def test_quantised_concat(limosa, tmp_path):
    check(limosa, tmp_path, "QLinearConcat",
          [scalar(0.05), scalar(3, np.uint8), integers(np.uint8, 2, 3), scalar(0.02),
           scalar(7, np.uint8), integers(np.uint8, 2, 5), scalar(0.07), scalar(1, np.uint8)],
          axis=1, constants=(0, 1, 3, 4, 6, 7))


@BYTES
def test_quantised_gemm(limosa, tmp_path, byte):
    check(limosa, tmp_path, "QGemm",
          [integers(byte, 5, 16), scalar(0.01), scalar(3, byte), integers(np.int8, 8, 16),
           floats(8).__abs__() * 0.01, np.zeros(8, np.int8), integers(np.int32, 8) // 2**20,
           scalar(0.5), scalar(4, byte)], constants=(3, 4, 5, 6), transB=1)


@BYTES
@pytest.mark.parametrize("points", [False, True])
def test_integer_product_to_floats(limosa, tmp_path, byte, points):
    check(limosa, tmp_path, "MatMulIntegerToFloat",
          [integers(np.uint8, 2, 5, 16), integers(byte, 16, 8), scalar(0.01),
           np.abs(floats(8)) * 0.01, scalar(9, np.uint8) if points else None,
           integers(byte, 8) if points else None, floats(8)])


def test_dynamically_quantised_product(limosa, tmp_path):
    check(limosa, tmp_path, "DynamicQuantizeMatMul",
          [floats(5, 16), integers(np.int8, 16, 8), scalar(0.01), scalar(2, np.int8), floats(8)])


@pytest.mark.parametrize("scales", [(2,), (2, 32)])
def test_dynamically_quantised_lstm(limosa, tmp_path, scales):
    """onnxruntime rounds the input and the states too, to one of 256 steps."""
    check(limosa, tmp_path, "DynamicQuantizeLSTM",
          [floats(5, 3, 6), integers(np.int8, 2, 6, 32), integers(np.int8, 2, 8, 32), floats(2, 64), None, None, None,
           None, np.abs(floats(*scales)) * 0.005, np.zeros(scales, np.int8), np.abs(floats(*scales)) * 0.005,
           np.zeros(scales, np.int8)],
          outputs=3, constants=(1, 2, 3, 8, 9, 10, 11), tolerance=2e-2, hidden_size=8, direction="bidirectional")


@pytest.mark.parametrize("points", [False, True])
def test_product_with_narrow_weights(limosa, tmp_path, points):
    check(limosa, tmp_path, "MatMulNBits",
          [floats(3, 64), integers(np.uint8, 8, 2, 16), floats(16),
           integers(np.uint8, 8) if points else None],
          constants=(1, 2, 3) if points else (1, 2), K=64, N=8, bits=4, block_size=32)


def attention_inputs(hidden=16, length=5):
    return [floats(2, length, hidden), floats(hidden, 3 * hidden), floats(3 * hidden)]


@pytest.mark.parametrize("mask", [None, "lengths", "raw"])
@pytest.mark.parametrize("unidirectional", [0, 1])
def test_attention(limosa, tmp_path, mask, unidirectional):
    given = {None: None, "lengths": np.array([5, 3], np.int32),
             "raw": np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], np.int32)}[mask]
    check(limosa, tmp_path, "Attention", [*attention_inputs(), given], num_heads=4,
          unidirectional=unidirectional)


def test_attention_with_past(limosa, tmp_path):
    check(limosa, tmp_path, "Attention", [*attention_inputs(), None, floats(2, 2, 4, 3, 4)],
          outputs=2, num_heads=4, unidirectional=1)


def test_quantised_attention(limosa, tmp_path):
    check(limosa, tmp_path, "QAttention",
          [integers(np.uint8, 2, 5, 16), integers(np.int8, 16, 48), floats(48), scalar(0.01),
           scalar(0.02), None, scalar(128, np.uint8), scalar(0, np.int8)], num_heads=4)


def test_multi_head_attention(limosa, tmp_path):
    check(limosa, tmp_path, "MultiHeadAttention",
          [floats(2, 5, 16), floats(2, 7, 16), floats(2, 7, 16), floats(48)], num_heads=4)


def test_embeddings(limosa, tmp_path):
    ids = RANDOM.integers(0, 20, (2, 5)).astype(np.int32)
    check(limosa, tmp_path, "EmbedLayerNormalization",
          [ids, ids % 2, floats(20, 16), floats(9, 16), floats(2, 16), floats(16), floats(16),
           np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]], np.int32)],
          outputs=2, constants=(2, 3, 4, 5, 6), exact=True)


@pytest.mark.parametrize("offset", [False, True])
def test_rotary_embedding(limosa, tmp_path, offset):
    angles = RANDOM.random((20, 4)).astype(np.float32)
    positions = np.array([3]) if offset else RANDOM.integers(0, 20, (2, 5))
    check(limosa, tmp_path, "RotaryEmbedding",
          [floats(2, 5, 24), positions, np.cos(angles), np.sin(angles)])


def forest(prefix, classes=0):
    """Three trees of depth two over four features."""
    nodes = dict(treeids=[], nodeids=[], featureids=[], modes=[], values=[], truenodeids=[],
                 falsenodeids=[], missing_value_tracks_true=[])
    leaves = dict(treeids=[], nodeids=[], ids=[], weights=[])
    for tree in range(3):
        for at in range(7):
            inner = at < 3
            for key, value in dict(
                    treeids=tree, nodeids=at, featureids=int(RANDOM.integers(4)) if inner else 0,
                    modes="BRANCH_LEQ" if inner else "LEAF",
                    values=float(RANDOM.standard_normal()) if inner else 0.0,
                    truenodeids=2 * at + 1 if inner else 0, falsenodeids=2 * at + 2 if inner else 0,
                    missing_value_tracks_true=tree % 2).items():
                nodes[key].append(value)
            if not inner:
                for target in range(max(classes, 2)) if classes != 2 else [1]:
                    weight = float(RANDOM.random() / 3)
                    for key, value in dict(treeids=tree, nodeids=at, ids=target, weights=weight).items():
                        leaves[key].append(value)
    return {**{f"nodes_{k}": v for k, v in nodes.items()},
            **{f"{prefix}_{k}": v for k, v in leaves.items()}}


def samples():
    x = floats(50, 4)
    x[3, :] = np.nan
    return x


@pytest.mark.parametrize("aggregate", ["SUM", "AVERAGE", "MIN", "MAX"])
def test_tree_regressor(limosa, tmp_path, aggregate):
    check(limosa, tmp_path, "TreeEnsembleRegressor", [samples()], domain="ai.onnx.ml", n_targets=2,
          aggregate_function=aggregate, base_values=[0.5, -1.0], **forest("target"))


@pytest.mark.parametrize("classes", [2, 3])
def test_tree_classifier(limosa, tmp_path, classes):
    check(limosa, tmp_path, "TreeEnsembleClassifier", [samples()], outputs=2, domain="ai.onnx.ml",
          classlabels_int64s=list(range(10, 10 + classes)), exact=True, **forest("class", classes))


@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC", "SOFTMAX"])
def test_linear_models(limosa, tmp_path, transform):
    weights = [float(w) for w in floats(12)]
    check(limosa, tmp_path, "LinearRegressor", [floats(6, 4)], domain="ai.onnx.ml", targets=3,
          coefficients=weights, intercepts=[0.1, 0.2, 0.3], post_transform=transform)
    check(limosa, tmp_path, "LinearClassifier", [floats(6, 4)], outputs=2, domain="ai.onnx.ml",
          classlabels_ints=[4, 5, 6], coefficients=weights, intercepts=[0.1, 0.2, 0.3],
          post_transform=transform, exact=True)


@pytest.mark.parametrize("norm", ["MAX", "L1", "L2"])
def test_features(limosa, tmp_path, norm):
    x = floats(6, 3)
    check(limosa, tmp_path, "Normalizer", [x], domain="ai.onnx.ml", norm=norm)
    check(limosa, tmp_path, "Scaler", [x], domain="ai.onnx.ml", offset=[1.0, 2.0, 3.0],
          scale=[0.5, 1.0, 2.0])
    check(limosa, tmp_path, "OneHotEncoder", [np.array([[1, 2], [5, 3]])], domain="ai.onnx.ml",
          cats_int64s=[3, 1, 2])
    check(limosa, tmp_path, "Imputer", [samples()], domain="ai.onnx.ml", replaced_value_float=float("nan"),
          imputed_value_floats=[1.0, 2.0, 3.0, 4.0])
    check(limosa, tmp_path, "LabelEncoder", [np.array([1, 4, 2])], domain="ai.onnx.ml",
          keys_int64s=[1, 2], values_floats=[0.5, 1.5], default_float=-2.0)


def test_max_roi_pool(limosa, tmp_path):
    corners = RANDOM.integers(0, 20, (6, 2))
    rois = np.concatenate([RANDOM.integers(0, 2, (6, 1)), corners,
                           corners + RANDOM.integers(0, 30, (6, 2))], 1).astype(np.float32)
    check(limosa, tmp_path, "MaxRoiPool", [floats(2, 3, 12, 16), rois], domain="",
          pooled_shape=[3, 2], spatial_scale=0.5)


def test_multinomial(limosa, tmp_path):
    """Draws follow the probabilities; onnxruntime draws others."""
    node = helper.make_node("Multinomial", ["x"], ["y"], sample_size=4000, dtype=7)
    graph = helper.make_graph(
        [node], "draws", [helper.make_tensor_value_info("x", 1, [2, 3])],
        [onnx.ValueInfoProto(name="y")])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    wanted = np.array([[0.1, 0.2, 0.7], [0.5, 0.5, 0.0]], np.float32)
    draws = limosa.load(path).run({"x": np.log(wanted + 1e-30)})["y"]
    shares = np.stack([np.bincount(row, minlength=3) for row in draws]) / 4000
    np.testing.assert_allclose(shares, wanted, atol=0.04)


@pytest.mark.parametrize("training", [False, True])
def test_dropout(limosa, tmp_path, training):
    """A part is left out, and the rest makes up for it."""
    node = helper.make_node("Dropout", ["x", "ratio", "training"], ["y", "mask"], seed=3)
    graph = helper.make_graph(
        [node], "dropout",
        [helper.make_tensor_value_info("x", 1, [100, 100]),
         helper.make_tensor_value_info("ratio", 1, []),
         helper.make_tensor_value_info("training", 9, [])],
        [onnx.ValueInfoProto(name="y"), onnx.ValueInfoProto(name="mask")])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    x = floats(100, 100)
    got = limosa.load(path).run({"x": x, "ratio": scalar(0.25), "training": np.array(training)})
    assert abs(got["mask"].mean() - (0.75 if training else 1)) < 0.02
    np.testing.assert_allclose(got["y"], np.where(got["mask"], x / (0.75 if training else 1), 0), rtol=1e-6)


@pytest.mark.parametrize("activation, parameters", [
    ("Relu", None), ("Tanh", None), ("Sigmoid", None), ("LeakyRelu", [0.1]), ("Clip", [-0.5, 0.75]),
    ("HardSigmoid", [0.3, 0.4])])
def test_fused_conv(limosa, tmp_path, activation, parameters):
    options = {"activation_params": parameters} if parameters else {}
    check(limosa, tmp_path, "FusedConv", [floats(2, 6, 9, 8), floats(10, 3, 3, 3), floats(10)],
          activation=activation, group=2, pads=[1, 1, 1, 1], **options)


def test_fused_conv_with_sum(limosa, tmp_path):
    check(limosa, tmp_path, "FusedConv",
          [floats(1, 4, 8, 8), floats(5, 4, 1, 1), floats(5), floats(1, 5, 8, 8)], activation="Relu")


def test_fused_gemm(limosa, tmp_path):
    check(limosa, tmp_path, "FusedGemm", [floats(7, 5), floats(9, 5), floats(9)], transB=1, alpha=0.5,
          activation="LeakyRelu", activation_alpha=0.2)


def group_query(batch, new, past, lengths, heads=4, key_heads=2, size=16, packed=False, rotary=False,
                interleaved=0, **options):
    """Inputs and attributes of a GroupQueryAttention node."""
    if packed:
        inputs = [floats(batch, new, (heads + 2 * key_heads) * size), None, None]
    else:
        inputs = [floats(batch, new, heads * size), floats(batch, new, key_heads * size),
                  floats(batch, new, key_heads * size)]
    inputs += [floats(batch, key_heads, past, size), floats(batch, key_heads, past, size)]
    lengths = np.array(lengths, np.int32)
    inputs += [lengths - 1, np.array(lengths.max(), np.int32)]
    if rotary:
        angles = RANDOM.uniform(0, 6, (64, size // 2))
        inputs += [np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)]
        options.update(do_rotary=1, rotary_interleaved=interleaved)
    return inputs, dict(options, num_heads=heads, kv_num_heads=key_heads)


@pytest.mark.parametrize("inputs, options", [
    pytest.param(*group_query(2, 5, 0, [5, 5]), id="prompt"),
    pytest.param(*group_query(1, 6, 0, [6], packed=True, rotary=True), id="packed"),
    pytest.param(*group_query(2, 1, 5, [6, 6]), id="token"),
    pytest.param(*group_query(2, 1, 5, [6, 4], rotary=True), id="lengths"),
    pytest.param(*group_query(1, 1, 7, [8], rotary=True, interleaved=1, packed=True), id="interleaved"),
    pytest.param(*group_query(1, 3, 6, [9], rotary=True), id="several"),
    pytest.param(*group_query(1, 1, 20, [21], local_window_size=4), id="window"),
    pytest.param(*group_query(1, 8, 0, [8], local_window_size=3, softcap=2.0), id="window-prompt"),
    pytest.param(*group_query(2, 1, 9, [10, 10], heads=8, key_heads=1, scale=0.3), id="scale"),
])
def test_group_query_attention(limosa, tmp_path, inputs, options):
    check(limosa, tmp_path, "GroupQueryAttention", inputs, outputs=3, constants=(6,), **options)


def test_maps_are_columns(limosa, tmp_path):
    """ZipMap: a dictionary for each row from onnxruntime, the columns of a tensor from Limosa."""
    x = floats(4, 3)
    node = helper.make_node("ZipMap", ["x"], ["y"], domain="ai.onnx.ml", classlabels_int64s=[7, 2, 5])
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", 1, ["N", 3])],
                              [onnx.ValueInfoProto(name="y")])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]), path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rows = session.run(None, {"x": x})[0]
    have = limosa.load(path).run({"x": x})["y"]
    np.testing.assert_array_equal(have, [[row[label] for label in (7, 2, 5)] for row in rows])


@pytest.mark.parametrize("direction", [0, 1])
def test_scan_over_a_batch(limosa, tmp_path, direction):
    """Scan of operator set 8: a batch in front of everything."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Add", ["s", "x"], ["t"]), helper.make_node("Mul", ["t", "x"], ["y"])],
        "body", [value("s", 1, [3]), value("x", 1, [3])], [value("t", 1, [3]), value("y", 1, [3])])
    node = helper.make_node("Scan", ["", "s0", "xs"], ["last", "ys"], body=body, num_scan_inputs=1,
                            directions=[direction])
    graph = helper.make_graph(
        [node], "g", [value("s0", 1, [2, 3]), value("xs", 1, [2, 5, 3])],
        [value("last", 1, None), value("ys", 1, None)])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, ir_version=3, opset_imports=[helper.make_opsetid("", 8)]), path)
    given = {"s0": floats(2, 3), "xs": floats(2, 5, 3)}
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    want = dict(zip(["last", "ys"], session.run(None, given)))
    assert_same(limosa.load(path).run(given), want)
