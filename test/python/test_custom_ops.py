"""Kernels and shape functions of the user's own in Python, and what goes wrong with them."""

import threading
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from custom_models import F32, chain, node, random, save  # noqa: E402
from onnx import TensorProto, helper  # noqa: E402


def test_kernel_in_python_at_several_sizes(limosa, custom_op, tmp_path):
    @custom_op("my.domain::Op", shape=lambda x, *, alpha: x)
    def op(x, *, alpha):
        return (x * np.float32(alpha) + 1).astype(np.float32)

    model = limosa.load(chain(tmp_path, alpha=2.0))
    for n in (1, 5, 0, 1000):
        x = random(n)
        np.testing.assert_allclose(model.run({"x": x})["y"], 2 * x - 1, rtol=1e-6)


def test_sizes_that_the_kernel_finds(limosa, custom_op, tmp_path):
    @custom_op("my.domain::Op", shape=lambda x: limosa.TensorType(x.dtype, ("?",)))
    def op(x):
        return x[x > 0]

    nodes = [node("Op", ["x"], ["p"]), node("Neg", ["p"], ["y"], domain=""),
             node("Shape", ["p"], ["n"], domain="")]
    model = limosa.load(save(tmp_path, nodes, [("x", F32, ["N"])],
                             [("y", F32, None), ("n", TensorProto.INT64, None)]))
    for n in (100, 0, 7, 3000):
        x = random(n)
        found = model.run({"x": x})
        np.testing.assert_array_equal(found["y"], -x[x > 0])
        assert found["n"].tolist() == [(x > 0).sum()]


def test_symbolic_shapes_and_constants(limosa, custom_op, tmp_path):
    seen = {}

    def shape(x, size):
        seen.update(x=x, size=size)
        return limosa.TensorType(x.dtype, (x.shape[0] * 2, x.shape[1] // 2, size.elements[0]))

    @custom_op("my.domain::Op", shape=shape)
    def op(x, size):
        return np.zeros((2 * x.shape[0], x.shape[1] // 2, int(size[0])), np.float32)

    nodes = [node("Op", ["x", "size"], ["a"]), node("Neg", ["a"], ["y"], domain="")]
    size = helper.make_tensor("size", TensorProto.INT64, [1], [3])
    model = limosa.load(save(tmp_path, nodes, [("x", F32, ["N", "M"])], [("y", F32, None)], [size]))
    assert model.run({"x": random(3, 5)})["y"].shape == (6, 2, 3)
    assert seen["x"].shape == (limosa.Dim("N"), limosa.Dim("M")) and seen["x"].value is None
    assert seen["size"].value.tolist() == [3] and seen["size"].elements == (3,)


def test_outputs_optional_inputs_and_all_attributes(limosa, custom_op, tmp_path):
    given = {}

    def shape(*inputs, **attributes):
        assert [i is not None for i in inputs] == [True, False, True]
        return [inputs[0], limosa.TensorType("int64", ())]

    @custom_op("my.domain::Op", shape=shape)
    def op(x, missing, w, **attributes):
        assert missing is None
        given.update(attributes)
        return x + w, np.int64(x.size)

    tensor = helper.make_tensor("", TensorProto.INT32, [2, 2], [1, 2, 3, 4])
    nodes = [node("Op", ["x", "", "w"], ["y", "n"], i=3, f=0.5, s="text", ints=[1, 2],
                  floats=[0.5, 1.5], strings=["a", "b"], t=tensor)]
    path = save(tmp_path, nodes, [("x", F32, ["N"]), ("w", F32, ["N"])],
                [("y", F32, None), ("n", TensorProto.INT64, None)])
    x = random(4)
    found = limosa.load(path).run({"x": x, "w": x})
    np.testing.assert_array_equal(found["y"], 2 * x)
    assert found["n"].shape == () and found["n"] == 4
    assert given.pop("t").tolist() == [[1, 2], [3, 4]]
    assert given == {"i": 3, "f": 0.5, "s": "text", "ints": [1, 2], "floats": [0.5, 1.5],
                     "strings": ["a", "b"]}


def test_inside_if_and_loop(limosa, custom_op, tmp_path):
    @custom_op("my.domain::Op", shape=lambda x: x)
    def op(x):
        return x * np.float32(2)

    body = helper.make_graph(
        [node("Op", ["state"], ["next"]),
         node("Identity", ["go"], ["still"], domain="")], "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []),
         helper.make_tensor_value_info("go", TensorProto.BOOL, []),
         helper.make_tensor_value_info("state", F32, ["N"])],
        [helper.make_tensor_value_info("still", TensorProto.BOOL, []),
         helper.make_tensor_value_info("next", F32, ["N"])])
    then = helper.make_graph([node("Op", ["l"], ["t"])], "then", [],
                             [helper.make_tensor_value_info("t", F32, ["N"])])
    other = helper.make_graph([node("Neg", ["l"], ["e"], domain="")], "else", [],
                              [helper.make_tensor_value_info("e", F32, ["N"])])
    nodes = [node("Loop", ["rounds", "", "x"], ["l"], domain="", body=body),
             node("If", ["c"], ["y"], domain="", then_branch=then, else_branch=other)]
    path = save(tmp_path, nodes, [("x", F32, ["N"]), ("rounds", TensorProto.INT64, []),
                                  ("c", TensorProto.BOOL, [])], [("y", F32, ["N"])])
    model = limosa.load(path)
    for rounds, choice, n in ((3, True, 5), (0, True, 2), (2, False, 0), (1, False, 9)):
        x = random(n)
        found = model.run({"x": x, "rounds": np.int64(rounds), "c": np.bool_(choice)})["y"]
        np.testing.assert_array_equal(found, x * 2**rounds * (2 if choice else -1))


def test_data_dependent_inside_if(limosa, custom_op, tmp_path):
    @custom_op("my.domain::Op", shape=lambda x: limosa.TensorType(x.dtype, ("?",)))
    def op(x):
        return x[x > 0]

    then = helper.make_graph([node("Op", ["x"], ["t"])], "then", [],
                             [helper.make_tensor_value_info("t", F32, None)])
    other = helper.make_graph([node("Identity", ["x"], ["e"], domain="")], "else", [],
                              [helper.make_tensor_value_info("e", F32, None)])
    nodes = [node("If", ["c"], ["a"], domain="", then_branch=then, else_branch=other),
             node("Neg", ["a"], ["y"], domain="")]
    model = limosa.load(save(tmp_path, nodes, [("x", F32, ["N"]), ("c", TensorProto.BOOL, [])],
                             [("y", F32, None)]))
    for n in (20, 0, 300):
        x = random(n)
        for choice in (True, False):
            np.testing.assert_array_equal(model.run({"x": x, "c": np.bool_(choice)})["y"],
                                          -x[x > 0] if choice else -x)


def fails(x):
    raise RuntimeError("not today\nor ever")


@pytest.mark.parametrize("kernel, error, words", [
    (fails, RuntimeError, "not today"),
    (lambda x: x.astype(np.float64), (TypeError, ValueError), "output 0 is float32"),
    (lambda x: x[:-1], ValueError, r"does not have the shape \[4\]"),
    (lambda x: (x, x), ValueError, "has 1 outputs, the function returns 2"),
])
def test_mistakes_of_kernels(limosa, custom_op, tmp_path, kernel, error, words):
    custom_op("my.domain::Op", shape=lambda x: x)(kernel)
    model = limosa.load(chain(tmp_path))
    with pytest.raises(error, match=words) as raised:
        model.run({"x": random(4)})
    assert "node 'the_Op' (my.domain::Op)" in str(raised.value)
    assert "\n" not in str(raised.value)


def oops(x):
    raise KeyError("what")


@pytest.mark.parametrize("shape, words", [
    (oops, "KeyError"),
    (lambda x: x._replace(shape=("Q",)), "no input has 'Q'"),
    (lambda x: x._replace(shape=("N +",)), "dimension 'N \\+'"),
    (lambda x: x._replace(shape=(-1,)), "dimension -1"),
    (lambda x: x._replace(dtype="float12"), "float12"),
    (lambda x: [x, x], "has 1 outputs, the function returns 2"),
])
def test_mistakes_of_shape_functions(limosa, custom_op, tmp_path, shape, words):
    custom_op("my.domain::Op", shape=shape)(lambda x: x)
    with pytest.raises(NotImplementedError, match=words) as raised:
        limosa.load(chain(tmp_path))
    assert "the_Op" in str(raised.value)


@pytest.mark.parametrize("counts, words", [
    ({"inputs": 2}, "takes 2 inputs, not 1"), ({"inputs": (2, None)}, "takes at least 2 inputs, not 1"),
    ({"inputs": 0}, "takes 0 inputs, not 1"), ({"outputs": (2, 3)}, "gives 2 to 3 outputs, not 1"),
])
def test_nodes_of_other_counts_are_refused(limosa, limosa_command, custom_op, tmp_path, counts, words):
    path = chain(tmp_path)
    custom_op("my.domain::Op", shape=lambda x: x)(lambda x: x)
    limosa.compile(path, tmp_path / "m.lim")
    custom_op("my.domain::Op", shape=lambda x: x, **counts)(lambda x: x)
    with pytest.raises(NotImplementedError, match=words):
        limosa.load(path)
    # A file is held to it as well: it may be damaged, or older than the operator.
    with pytest.raises(limosa.Error, match=f"node 'the_Op' .my.domain::Op.: the operator {words}"):
        limosa.load(tmp_path / "m.lim")


def test_nodes_of_fitting_counts(limosa, custom_op, tmp_path):
    custom_op("my.domain::Op", shape=lambda x: x, inputs=(1, None), outputs=1)(lambda x: x)
    np.testing.assert_array_equal(limosa.load(chain(tmp_path)).run({"x": random(3)})["y"], random(3))


def test_threads_and_kernels_kept_by_models(limosa, tmp_path):
    @limosa.custom_op("my.domain::Op", shape=lambda x: x)
    def op(x):
        return x + np.float32(1)

    model = limosa.load(chain(tmp_path), threads=2)
    limosa.unregister_operator("my.domain::Op")
    wrong = []

    def work():
        for n in range(50):
            x = random(n)
            if not np.array_equal(model.run({"x": x})["y"], x - 1):
                wrong.append(n)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_unknown_operator_says_how_to_register_it(limosa, limosa_command, tmp_path):
    path = chain(tmp_path, op="Nobody")
    with pytest.raises(NotImplementedError) as raised:
        limosa.load(path)
    for text in (str(raised.value), limosa_command("run", path, code=1).stderr):
        assert "Nobody 'the_Nobody'" in text and "operator not supported" in text
        assert "limosa.custom_op" in text and "--operators" in text
        assert "docs/custom-operators.md" in text


def test_file_without_its_operator(limosa, limosa_command, custom_op, tmp_path):
    custom_op("my.domain::Op", shape=lambda x: x)(lambda x: x)
    limosa.compile(chain(tmp_path), tmp_path / "m.lim")
    np.testing.assert_array_equal(limosa.load(tmp_path / "m.lim").run({"x": random(3)})["y"],
                                  random(3))
    said = limosa_command("run", tmp_path / "m.lim", code=1).stderr
    assert "operator 'my.domain::Op' version 1 (node 'the_Op'), which is not registered" in said
    assert "--operators" in said and said.count("\n") == 1


def test_cache_knows_shape_functions_but_not_kernels(limosa, tmp_path):
    path = chain(tmp_path, op="Cached")
    name = "my.domain::Cached"
    limosa.register_operator(name, kernel=lambda x: x, shape=lambda x: x)
    assert not limosa.load(path).from_cache
    limosa.register_operator(name, kernel=lambda x: x + np.float32(1), shape=lambda x: x)
    limosa.register_operator("my.domain::Unrelated", kernel=lambda x: x, shape=lambda x: x)
    model = limosa.load(path)
    assert model.from_cache
    assert model.run({"x": np.zeros(1, np.float32)})["y"] == -1
    limosa.register_operator(name, kernel=lambda x: x,
                             shape=lambda x: x._replace(shape=x.shape[:]))
    assert not limosa.load(path).from_cache
    limosa.register_operator(name, body=lambda ops, x: ops.abs(x))
    model = limosa.load(path)
    assert not model.from_cache
    assert model.run({"x": np.ones(1, np.float32)})["y"] == -1
    limosa.unregister_operator(name)
    limosa.unregister_operator("my.domain::Unrelated")


class Silent(Exception):
    def __str__(self):
        raise ZeroDivisionError


@pytest.mark.parametrize("kind, text", [(ValueError, "bad: \udcff"), (Silent, "")])
def test_exceptions_whose_text_is_none(limosa, custom_op, tmp_path, kind, text):
    def kernel(x):
        raise kind(text)
    custom_op("my.domain::Op", shape=lambda x: x)(kernel)
    with pytest.raises(Exception, match=kind.__name__):
        limosa.load(chain(tmp_path)).run({"x": random(3)})
    custom_op("my.domain::Op", shape=lambda x: x)(lambda x: x)
    np.testing.assert_array_equal(limosa.load(chain(tmp_path)).run({"x": random(3)})["y"], random(3))


def test_versions_and_functions_of_the_model(limosa, custom_op, tmp_path):
    # The newest that the model may mean; the model's own function comes after.
    custom_op("my.domain::Op", shape=lambda x: x)(lambda x: x * np.float32(3))
    custom_op("my.domain::Op", shape=lambda x: x, version=2)(lambda x: x * np.float32(5))
    function = helper.make_function(
        "my.domain", "Op", ["x"], ["y"], [helper.make_node("Abs", ["x"], ["y"])],
        [helper.make_opsetid("", 17)])
    path = save(tmp_path, [node("Op", ["x"], ["y"])], [("x", F32, ["N"])], [("y", F32, None)],
                functions=[function])
    x = random(4)
    np.testing.assert_array_equal(limosa.load(path).run({"x": x})["y"], x * np.float32(3))


def test_registering_takes_care(limosa):
    with pytest.raises(ValueError, match="domain::Op"):
        limosa.register_operator("Op", kernel=fails, shape=fails)
    with pytest.raises(ValueError, match="a kernel or a body"):
        limosa.register_operator("my.domain::Op")
    with pytest.raises(ValueError, match="a shape function"):
        limosa.register_operator("my.domain::Op", kernel=fails)
    for counts in ({"inputs": -1}, {"outputs": (3, 2)}):
        with pytest.raises(ValueError, match="cannot have"):
            limosa.register_operator("my.domain::Op", body=fails, **counts)


@pytest.mark.parametrize("dtype, onnx_type", [
    ("float16", TensorProto.FLOAT16), ("bfloat16", TensorProto.BFLOAT16),
    ("int8", TensorProto.INT8), ("bool", TensorProto.BOOL), ("uint64", TensorProto.UINT64)])
def test_element_types(limosa, custom_op, tmp_path, dtype, onnx_type):
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
    seen = []

    @custom_op("my.domain::Op", shape=lambda x: x)
    def op(x):
        seen.append(x.dtype)
        return x[::-1]

    path = save(tmp_path, [node("Op", ["x"], ["y"])], [("x", onnx_type, ["N"])],
                [("y", onnx_type, None)])
    x = np.array([0, 1, 1, 0, 1], dtype)
    np.testing.assert_array_equal(limosa.load(path).run({"x": x})["y"], x[::-1])
    assert seen == [x.dtype]


#===----------------------------------------------------------------------===
# Where operators stand in a model
#===----------------------------------------------------------------------===


def test_sizes_found_in_every_round(limosa, custom_op, tmp_path):
    @custom_op("my.domain::Op", shape=lambda x: limosa.TensorType(x.dtype, ("?",)))
    def op(x):
        return x[:-1]

    body = helper.make_graph(
        [node("Op", ["state"], ["shorter"]), node("Identity", ["go"], ["still"], domain=""),
         node("Abs", ["shorter"], ["next"], domain="")], "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []),
         helper.make_tensor_value_info("go", TensorProto.BOOL, []),
         helper.make_tensor_value_info("state", F32, [None])],
        [helper.make_tensor_value_info("still", TensorProto.BOOL, []),
         helper.make_tensor_value_info("next", F32, [None])])
    nodes = [node("Loop", ["rounds", "", "x"], ["l"], domain="", body=body),
             node("Neg", ["l"], ["y"], domain="")]
    model = limosa.load(save(tmp_path, nodes, [("x", F32, ["N"]),
                                               ("rounds", TensorProto.INT64, [])],
                             [("y", F32, None)]))
    for n, rounds in ((9, 3), (4, 1), (5, 5), (6, 0)):
        x = random(n)
        found = model.run({"x": x, "rounds": np.int64(rounds)})["y"]
        np.testing.assert_array_equal(found, -(np.abs(x) if rounds else x)[:n - rounds])


@pytest.mark.parametrize("stateful, calls", [(True, 3), (False, 1)])
def test_calls_of_functions_and_of_others(limosa, custom_op, tmp_path, stateful, calls):
    called = []

    @custom_op("my.domain::Op", shape=lambda x: x, stateful=stateful)
    def op(x):
        called.append(1)
        return x + np.float32(len(called))

    nodes = [node("Op", ["x"], ["a"], name="a"), node("Op", ["x"], ["unused"], name="b"),
             node("Op", ["x"], ["c"], name="c"), node("Add", ["a", "c"], ["y"], domain="")]
    path = save(tmp_path, nodes, [("x", F32, ["N"])], [("y", F32, None)])
    found = limosa.load(path).run({"x": np.zeros(1, np.float32)})["y"]
    assert len(called) == calls and found == (4 if stateful else 2)


def test_kernel_among_those_of_another_device(limosa, custom_op, tmp_path):
    custom_op("my.domain::Op", shape=lambda x: x)(lambda x: x + np.float32(1))
    model = limosa.load(chain(tmp_path), device="reference",
                        plugins=[Path(limosa.__file__).parent / "liblimosa_reference.so"])
    np.testing.assert_array_equal(model.run({"x": random(5)})["y"], random(5) - 1)


def test_attributes_of_functions_and_outputs_that_nobody_wants(limosa, custom_op, tmp_path):
    @custom_op("my.domain::Op", shape=lambda x, *, by: [x, x, limosa.TensorType("int64", ("?",))])
    def op(x, *, by):
        return x, x * np.float32(by), np.arange(3)

    inner = helper.make_node("Op", ["x"], ["", "y", ""], domain="my.domain")
    attribute = inner.attribute.add(name="by", type=onnx.AttributeProto.FLOAT)
    attribute.ref_attr_name = "factor"
    function = helper.make_function(
        "my.domain", "Outer", ["x"], ["y"], [inner],
        [helper.make_opsetid("", 17), helper.make_opsetid("my.domain", 1)], ["factor"])
    path = save(tmp_path, [node("Outer", ["x"], ["y"], factor=2.5)], [("x", F32, ["N", 2])],
                [("y", F32, None)], functions=[function])
    x = random(3, 2)
    np.testing.assert_array_equal(limosa.load(path).run({"x": x})["y"], x * np.float32(2.5))


def test_weights_go_to_kernels(limosa, custom_op, tmp_path):
    custom_op("my.domain::Op", shape=lambda x, w: limosa.TensorType("float32", (x.shape[0], 300)))(
        lambda x, w: x @ w)
    w = random(200, 300)
    path = save(tmp_path, [node("Op", ["x", "w"], ["y"])], [("x", F32, ["N", 200])],
                [("y", F32, None)], [onnx.numpy_helper.from_array(w, "w")])
    x = random(2, 200)
    np.testing.assert_allclose(limosa.load(path).run({"x": x})["y"], x @ w, rtol=1e-4, atol=1e-4)
