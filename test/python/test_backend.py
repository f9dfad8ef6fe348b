"""limosa.backend beyond what ONNX's suite asks of it."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
backend = pytest.importorskip("limosa.backend", reason="the Python module is not built")
from onnx import TensorProto, helper  # noqa: E402

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def model(nodes, inputs, outputs, opset=18):
    graph = helper.make_graph(nodes, "graph", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def tensor(name, kind=FLOAT, shape=None):
    return helper.make_tensor_value_info(name, kind, shape)


def sequence(name):
    return helper.make_tensor_sequence_value_info(name, FLOAT, None)


def test_compiles_again_for_other_values():
    prepared = backend.prepare(model(
        [helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)],
        [tensor("x", shape=["a", "b"]), tensor("axes", INT64, [1])], [tensor("y")]))
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    for axis in (0, 1, -1, 0):
        np.testing.assert_array_equal(prepared.run([x, np.array([axis])])[0], x.sum(axis))


def test_sequences_of_any_length():
    prepared = backend.prepare(model(
        [helper.make_node("SequenceInsert", ["s", "x"], ["t"]),
         helper.make_node("ConcatFromSequence", ["t"], ["y"], axis=0)],
        [sequence("s"), tensor("x", shape=["n"])], [sequence("t"), tensor("y")]))
    rows = [np.full(n, n, np.float32) for n in (2, 3, 1)]
    for count in (0, 1, 2):
        together, joined = prepared.run([rows[:count], rows[2]])
        assert [list(row) for row in together] == [list(row) for row in rows[:count] + rows[2:]]
        np.testing.assert_array_equal(joined, np.concatenate(rows[:count] + rows[2:]))


def test_inputs_by_name_and_missing_optionals():
    optional = helper.make_tensor_value_info("x", FLOAT, [2]).type
    prepared = backend.prepare(model(
        [helper.make_node("OptionalHasElement", ["x"], ["y"])],
        [helper.make_value_info("x", helper.make_optional_type_proto(optional))],
        [tensor("y", TensorProto.BOOL)]))
    assert not prepared.run({"x": None})[0]
    assert prepared.run({"x": np.zeros(2, np.float32)})[0]


def test_run_node():
    x = np.array([[-1, 2]], np.float32)
    np.testing.assert_array_equal(
        backend.run_node(helper.make_node("Relu", ["x"], ["y"]), [x])[0], np.maximum(x, 0))


def test_what_no_value_helps_is_refused_at_once():
    with pytest.raises(NotImplementedError, match="operator not supported"):
        backend.prepare(model([helper.make_node("NoSuchOperator", ["x"], ["y"])],
                              [tensor("x", shape=[1])], [tensor("y")]))


def test_four_bits_go_in_and_out():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    prepared = backend.prepare(model(
        [helper.make_node("Transpose", ["x"], ["y"])],
        [tensor("x", TensorProto.INT4, [3, 3])], [tensor("y", TensorProto.INT4)], opset=21))
    x = np.arange(-4, 5).reshape(3, 3).astype(ml_dtypes.int4)
    y = prepared.run([x])[0]
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y, x.T)


def test_other_devices_are_refused():
    assert not backend.supports_device("CUDA")
    with pytest.raises(ValueError):
        backend.prepare(model([helper.make_node("Relu", ["x"], ["y"])], [tensor("x", shape=[1])],
                              [tensor("y")]), device="CUDA")
