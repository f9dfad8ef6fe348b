"""limosa verify: passes on every model, and names the op of a wrong kernel."""

import json
import os

import numpy as np
import pytest
from models import all_models

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

TIER = os.environ.get("LIMOSA_TEST_TIER")


def _verify(limosa_command, path, *arguments, code=0):
    said = limosa_command("verify", path, "--json", *arguments, code=code)
    return json.loads(said.stdout)


@pytest.mark.parametrize("model", [pytest.param(m, id=m.name) for m in all_models()])
def test_passes_on_every_model(model, model_file, limosa_command, tmp_path):
    if TIER == "small" and model.tier != "small":
        pytest.skip("LIMOSA_TEST_TIER=small")
    feeds = model.feeds(model.sizes[0], seed=0)
    arguments = []
    for name, value in feeds.items():
        file = tmp_path / f"{len(arguments)}.npy"
        np.save(file, value)
        arguments += ["--input", f"{name}={file}"]
    found = _verify(limosa_command, model_file(model.name), *arguments)
    assert found["launches_checked"] > 0 and not found["wrong"]
    assert not found["unchecked"] and not found["not_compared"]
    assert found["outputs"] and all(output["agrees"] for output in found["outputs"])


@pytest.mark.parametrize(
    "op, node",
    [("erf", "intermediate_act_fn/Erf"), ("contract", "MatMul"),
     ("sqrt", "LayerNorm")],
)
def test_names_the_op_of_a_wrong_kernel(op, node, model_file, limosa_command):
    found = _verify(limosa_command, model_file("small-bert"), "--flag", f"plant={op}", code=1)
    assert not found["good"] and found["wrong"]
    assert found["first_wrong_op"]["op"].startswith(op + " at ")
    assert node in found["first_wrong_op"]["nodes"]


@pytest.fixture
def cancelling(tmp_path):
    """A model that takes nearly all of a sum away, in kernels of their own, and a fitting input."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8, 4)).astype(np.float32)
    w = rng.standard_normal((4, 64)).astype(np.float32)
    near = (x.astype(np.float64) @ w.astype(np.float64) * (1 + 3e-6)).astype(np.float32)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"], name="product"),
             helper.make_node("Sub", ["h", "near"], ["rest"]),
             helper.make_node("Softmax", ["rest"], ["p"], axis=-1),
             helper.make_node("ReduceMean", ["rest"], ["m"], axes=[1], keepdims=1),
             helper.make_node("Mul", ["rest", "m"], ["y"])]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("y", "p")],
        [numpy_helper.from_array(w, "w"), numpy_helper.from_array(near, "near")])
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]),
              tmp_path / "model.onnx")
    np.save(tmp_path / "x.npy", x)
    return tmp_path / "model.onnx", "--input", f"x={tmp_path / 'x.npy'}"


def test_rounding_is_not_called_wrong(cancelling, limosa_command):
    found = _verify(limosa_command, *cancelling)
    y = found["outputs"][0]
    assert found["good"] and y["agrees"] and y["within_rounding"] and y["difference"] > 1e-3
    assert not found["outputs"][1]["within_rounding"]


def test_errors_are_not_taken_for_rounding(cancelling, limosa_command):
    found = _verify(limosa_command, *cancelling, "--flag", "plant=contract", code=1)
    assert found["wrong"] and not found["outputs"][0]["agrees"]
