"""Operators of the user's own: in Python, in C, in bodies, and what goes wrong with them."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
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


@pytest.fixture
def custom_op(limosa):
    """limosa.custom_op whose operators are gone after the test."""
    names = []

    def register(name, **options):
        names.append((name, options.get("version", 1)))
        return limosa.custom_op(name, **options)

    yield register
    for name, version in set(names):
        limosa.unregister_operator(name, version)


def random(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


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


def gelu(ops, x, *, scale=1.0):
    return x * ops.erf(x * scale) + ops.reduce_mean(x, axes=[0], keepdims=1)


def expected_gelu(x, scale):
    from math import erf
    return (x * np.vectorize(erf)(x * scale) + x.mean(0, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("device", ["cpu", "reference"])
def test_body_runs_on_every_device(limosa, tmp_path, device):
    limosa.register_operator("my.domain::Op", body=gelu, body_opset=17)
    plugins = [Path(limosa.__file__).parent / "liblimosa_reference.so"]
    try:
        model = limosa.load(chain(tmp_path, dims=("N", 3), scale=0.5), device=device,
                            plugins=plugins if device == "reference" else ())
    finally:
        limosa.unregister_operator("my.domain::Op")
    x = random(6, 3)
    np.testing.assert_allclose(model.run({"x": x})["y"], -expected_gelu(-x, 0.5), atol=1e-5)


def test_body_is_fused(limosa, limosa_command, tmp_path):
    limosa.register_operator("my.domain::Op", body=lambda ops, x: ops.tanh(x) * 2)
    try:
        limosa.compile(chain(tmp_path), tmp_path / "m.lim")
    finally:
        limosa.unregister_operator("my.domain::Op")
    found = json.loads(limosa_command("inspect", tmp_path / "m.lim", "--json", "--static").stdout)
    assert len(found["kernels"]) == 1


@pytest.mark.parametrize("body, words", [
    (lambda ops, x: ops.no_such(x), "NoSuch: operator not supported"),
    (lambda ops, x: ops.matmul(x, ops.constant(np.float64(1))), "MatMul: "),
    (lambda ops, x: (x, x), "the function returns 2"),
    (oops, "oops|KeyError"),
])
def test_mistakes_of_bodies(limosa, tmp_path, body, words):
    limosa.register_operator("my.domain::Op", body=body)
    try:
        with pytest.raises(NotImplementedError, match=words) as raised:
            limosa.load(chain(tmp_path))
        assert "the_Op" in str(raised.value)
    finally:
        limosa.unregister_operator("my.domain::Op")


def test_body_that_declines_leaves_it_to_the_kernel(limosa, custom_op, tmp_path):
    def body(ops, x):
        y = x * 2
        if len(x.shape) != 2:
            raise NotImplementedError
        return y

    custom_op("my.domain::Op", shape=lambda x: x, body=body)(lambda x: x * np.float32(10))
    x = random(3)
    np.testing.assert_array_equal(limosa.load(chain(tmp_path)).run({"x": x})["y"], x * 10)
    x = random(3, 2)
    model = limosa.load(chain(tmp_path, dims=("N", 2)))
    np.testing.assert_array_equal(model.run({"x": x})["y"], x * 2)


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


def test_cache_knows_operators_in_bodies(limosa, tmp_path):
    """The model names only the outer one."""
    path = chain(tmp_path, op="CachedOuter")
    def register_inner(factor):
        limosa.register_operator("my.domain::CachedInner", body=lambda ops, x: ops.mul(x, np.float32(factor)))
    register_inner(2)
    limosa.register_operator("my.domain::CachedOuter", body=lambda ops, x: ops("my.domain::CachedInner", x))
    x = np.ones(1, np.float32)
    for factor in (2, 3):
        register_inner(factor)
        assert limosa.load(path).run({"x": x})["y"] == factor
    for name in ("Outer", "Inner"):
        limosa.unregister_operator("my.domain::Cached" + name)


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
# The library in C, by way of the command
#===----------------------------------------------------------------------===


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """examples/operators/operators.c as a library."""
    path = tmp_path_factory.mktemp("operators") / "liboperators.so"
    subprocess.run(["cc", "-std=c11", "-shared", "-fPIC", "-I", ROOT / "include",
                    ROOT / "examples" / "operators" / "operators.c", "-o", path, "-lm"], check=True)
    return path


def test_library_in_the_command(limosa_command, library, tmp_path):
    nodes = [node("Gelu2", ["x"], ["a"], alpha=1.5), node("Positive", ["a"], ["b"]),
             node("Neg", ["b"], ["y"], domain="")]
    path = save(tmp_path, nodes, [("x", F32, ["N", 3])], [("y", F32, None)])
    x = random(50, 3)
    np.save(tmp_path / "x.npy", x)
    gelu2 = x / (1 + np.exp(-1.5 * x))
    limosa_command("compile", path, "--operators", library, "-o", tmp_path / "m.lim")
    for model in (path, tmp_path / "m.lim"):
        limosa_command("run", model, "--operators", library, "--input",
                       f"x={tmp_path / 'x.npy'}", "-o", tmp_path / "y.npy")
        np.testing.assert_allclose(np.load(tmp_path / "y.npy"), -gelu2[gelu2 > 0], rtol=1e-5)
    assert "my.domain::Gelu2" in limosa_command("run", tmp_path / "m.lim", code=1).stderr

    found = json.loads(limosa_command("inspect", path, "--operators", library, "--json").stdout)
    host = {k["ops"]: k for k in found["kernels"] if k["device"] == "host"}
    assert host["my.domain::Gelu2"]["nodes"] == "the_Gelu2"
    assert host["my.domain::Positive"]["seconds"] > 0
    text = limosa_command("inspect", path, "--operators", library, "--program").stdout
    assert "host my.domain::Positive(" in text
    limosa_command("run", path, "--operators", library, "--profile", tmp_path / "t.json")
    names = [e["name"] for e in json.loads((tmp_path / "t.json").read_text())["traceEvents"]]
    assert "my.domain::Gelu2" in names
    said = json.loads(limosa_command("verify", path, "--operators", library, "--json").stdout)
    assert said["good"] and all(output["agrees"] for output in said["outputs"])


def test_library_in_python(limosa, library, tmp_path):
    path = save(tmp_path, [node("Gelu2", ["x"], ["y"])], [("x", F32, ["N"])], [("y", F32, None)])
    x = random(9)
    expected = x / (1 + np.exp(-1.702 * x))
    limosa.compile(path, tmp_path / "m.lim", operators=[library])
    for model in (path, tmp_path / "m.lim"):
        np.testing.assert_allclose(limosa.load(model, operators=[library]).run({"x": x})["y"],
                                   expected, rtol=1e-5)


def test_program_in_cpp(limosa, tmp_path):
    lib = Path(limosa.__file__).parents[2] / "lib"
    program = tmp_path / "run_custom"
    subprocess.run(["c++", "-std=c++17", "-I", ROOT / "include",
                    ROOT / "examples" / "operators" / "operators.cpp", "-o", program,
                    "-L", lib, "-llimosa", f"-Wl,-rpath,{lib}"], check=True)
    nodes = [node("ErfMul", ["x"], ["a"], scale=0.5), node("SumAndMax", ["a"], ["s", "m"])]
    path = save(tmp_path, nodes, [("x", F32, ["N", "M"])], [("s", F32, None), ("m", F32, None)])
    said = subprocess.run([program, path], capture_output=True, text=True, check=True).stdout
    from math import erf
    rows = [[v * erf(v / 2) for v in row] for row in ((-2, -1, 0), (1, 2, 3))]
    found = [[float(v) for v in line.split()] for line in said.splitlines()]
    np.testing.assert_allclose(found, [[sum(r) for r in rows], [max(r) for r in rows]], atol=1e-3)
    # An exception becomes a message with the node's name.
    empty = save(tmp_path, [node("Slice", ["x", "zero", "zero", "one"], ["e"], domain=""),
                            node("SumAndMax", ["e"], ["s", "m"])],
                 [("x", F32, ["N", "M"])], [("s", F32, None), ("m", F32, None)],
                 [helper.make_tensor("zero", TensorProto.INT64, [1], [0]),
                  helper.make_tensor("one", TensorProto.INT64, [1], [1])])
    said = subprocess.run([program, empty], capture_output=True, text=True)
    assert said.returncode == 1
    assert said.stderr == ("node 'the_SumAndMax' (my.domain::SumAndMax): "
                           "nothing to take the maximum of\n")


def test_only_host_operators_verify(limosa_command, library, tmp_path):
    path = save(tmp_path, [node("Gelu2", ["x"], ["y"])], [("x", F32, ["N"])], [("y", F32, None)])
    assert json.loads(limosa_command("verify", path, "--operators", library,
                                     "--json").stdout)["good"]


def test_libraries_that_are_none(limosa_command, tmp_path):
    path = chain(tmp_path)
    (tmp_path / "text.so").write_text("no library")
    said = limosa_command("run", path, "--operators", tmp_path / "text.so", code=1).stderr
    assert said.startswith("error: cannot load operators") and said.count("\n") == 1


def test_python_example(limosa):
    subprocess.run([sys.executable, ROOT / "examples" / "operators" / "custom_op.py"], check=True,
                   env=dict(os.environ, PYTHONPATH=str(Path(limosa.__file__).parents[1])))


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


def test_body_with_other_operators_of_users(limosa, custom_op, tmp_path):
    custom_op("my.domain::Inner", shape=lambda x: x)(lambda x: x * np.float32(3))
    limosa.register_operator("my.domain::Op", body=lambda ops, x: -ops("my.domain::Inner", x) + 1)
    try:
        model = limosa.load(chain(tmp_path))
    finally:
        limosa.unregister_operator("my.domain::Op")
    x = random(4)
    np.testing.assert_allclose(model.run({"x": x})["y"], -(3 * x + 1), rtol=1e-6)


def test_weights_go_to_kernels(limosa, custom_op, tmp_path):
    custom_op("my.domain::Op", shape=lambda x, w: limosa.TensorType("float32", (x.shape[0], 300)))(
        lambda x, w: x @ w)
    w = random(200, 300)
    path = save(tmp_path, [node("Op", ["x", "w"], ["y"])], [("x", F32, ["N", 200])],
                [("y", F32, None)], [onnx.numpy_helper.from_array(w, "w")])
    x = random(2, 200)
    np.testing.assert_allclose(limosa.load(path).run({"x": x})["y"], x @ w, rtol=1e-4, atol=1e-4)
