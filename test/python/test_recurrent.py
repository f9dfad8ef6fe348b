"""Recurrent operators with constant weights, whose steps are fused, against onnxruntime."""

import numpy as np
import pytest
from compare import assert_same

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from onnx import helper, numpy_helper  # noqa: E402

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def run_both(limosa, path, nodes, inputs, constants, outputs):
    graph = helper.make_graph(
        nodes, "cell",
        [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), s)
         for n, (a, s) in inputs.items()],
        [onnx.ValueInfoProto(name=n) for n in outputs],
        [numpy_helper.from_array(a, n) for n, a in constants.items()])
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path)
    given = {n: a for n, (a, _) in inputs.items()}
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    want = dict(zip(outputs, session.run(None, given)))
    assert_same(limosa.load(path, threads=2).run(given), want)


def check(limosa, path, op, batch, hidden, *, length=6, size=7, directions=1, free_batch=False,
          peepholes=False, lengths=None, state=True, **attributes):
    random = np.random.default_rng(3)

    def floats(*shape):
        return (random.standard_normal(shape) * 0.3).astype(np.float32)

    gates = GATES[op]
    inputs = {"x": (floats(length, batch, size), [length, "N" if free_batch else batch, size])}
    constants = {"w": floats(directions, gates * hidden, size), "r": floats(directions, gates * hidden, hidden),
                 "b": floats(directions, 2 * gates * hidden)}
    names = ["x", "w", "r", "b", "", "", "", ""]
    if lengths is not None:
        constants["lengths"] = np.array(lengths, np.int32)
        names[4] = "lengths"
    states = ["h", "c"] if op == "LSTM" else ["h"]
    if state:
        for k, name in enumerate(states):
            shape = [directions, "N" if free_batch else batch, hidden]
            inputs[name] = (floats(directions, batch, hidden), shape)
            names[5 + k] = name
    if peepholes:
        constants["p"] = floats(directions, 3 * hidden)
        names[7] = "p"
    while not names[-1]:
        names.pop()
    outputs = ["y", *(f"{s}_last" for s in states)]
    direction = attributes.pop("direction", "bidirectional" if directions == 2 else "forward")
    node = helper.make_node(op, names, outputs, hidden_size=hidden, direction=direction, **attributes)
    run_both(limosa, path, [node], inputs, constants, outputs)


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("batch", [1, 5, 19])
@pytest.mark.parametrize("hidden", [3, 16, 72])
def test_sizes(limosa, tmp_path, op, batch, hidden):
    check(limosa, tmp_path / "m.onnx", op, batch, hidden)


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("direction", ["reverse", "bidirectional"])
def test_directions(limosa, tmp_path, op, direction):
    check(limosa, tmp_path / "m.onnx", op, 2, 20, directions=2 if direction == "bidirectional" else 1,
          direction=direction)


@pytest.mark.parametrize("op", GATES)
def test_lengths(limosa, tmp_path, op):
    check(limosa, tmp_path / "m.onnx", op, 3, 20, lengths=[6, 2, 4], state=False)


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("batch", [1, 9])
def test_batch_of_unknown_size(limosa, tmp_path, op, batch):
    check(limosa, tmp_path / "m.onnx", op, batch, 24, free_batch=True)


@pytest.mark.parametrize("reset", [0, 1])
def test_order_of_the_reset(limosa, tmp_path, reset):
    check(limosa, tmp_path / "m.onnx", "GRU", 2, 33, linear_before_reset=reset)


def test_peepholes(limosa, tmp_path):
    check(limosa, tmp_path / "m.onnx", "LSTM", 2, 20, peepholes=True)


def test_clip_and_activations(limosa, tmp_path):
    check(limosa, tmp_path / "m.onnx", "LSTM", 2, 20, clip=0.5, activations=["HardSigmoid", "Relu", "Softsign"])


@pytest.mark.parametrize("rows", [1, 4, 40])
@pytest.mark.parametrize("columns", [8, 50])
def test_gated_unit(limosa, tmp_path, rows, columns):
    """A product of which one half gates the other."""
    random = np.random.default_rng(5)
    floats = lambda *shape: random.standard_normal(shape).astype(np.float32)  # noqa: E731
    nodes = [helper.make_node("MatMul", ["x", "w"], ["p"]), helper.make_node("Add", ["p", "b"], ["z"]),
             helper.make_node("Split", ["z"], ["a", "g"], axis=1), helper.make_node("Sigmoid", ["g"], ["s"]),
             helper.make_node("Mul", ["a", "s"], ["y"])]
    run_both(limosa, tmp_path / "m.onnx", nodes, {"x": (floats(rows, 30), [rows, 30])},
             {"w": floats(30, 2 * columns), "b": floats(2 * columns)}, ["y"])
