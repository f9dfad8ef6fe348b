"""Guards of speed that do not measure time: no model of the suite on a slow path, and how many instructions
valgrind counts for some kernels and for a launch. Counts repeat to a few instructions; the limits are some
15 % above what they were, in instructions per unit of unavoidable work (a vector of 8 floats, with AVX2:
multiply-adds of products, elements stored by others)."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from models import all_models

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
LANES = 8


def node(kind, inputs, **attributes):
    return helper.make_node(kind, inputs, ["y"], **attributes)


def convolution(channels, filters, kernel, size, stride=1, groups=1):
    """One convolution of a square picture, and its multiply-adds."""
    out = size // stride
    pads = [kernel // 2] * 4
    return ([node("Conv", ["x", "w"], strides=[stride, stride], pads=pads, group=groups)],
            {"x": [1, channels, size, size]}, {"w": [filters, channels // groups, kernel, kernel]},
            out * out * filters * channels // groups * kernel * kernel)


def product(m, k, n):
    return [node("MatMul", ["x", "w"])], {"x": [m, k]}, {"w": [k, n]}, m * k * n


def rows(kind, m, n, weights=(), **attributes):
    return ([node(kind, ["x", *(f"w{i}" for i in range(len(weights)))], **attributes)],
            {"x": [m, n]}, {f"w{i}": w for i, w in enumerate(weights)}, m * n)


# name: (nodes, inputs, weights, work), instructions per vector of work
KERNELS = {
    "product": (product(192, 256, 256), 2.0),
    "product-odd": (product(127, 129, 131), 2.1),
    "product-one-row": (product(1, 768, 768), 1.8),
    "conv-1x1": (convolution(64, 128, 1, 28), 2.3),
    "conv-3x3-stride-2": (convolution(32, 64, 3, 28, stride=2), 2.2),
    "conv-3x3-minimal": (convolution(64, 64, 3, 28), 0.7),
    "conv-depthwise": (convolution(96, 96, 3, 28, groups=96), 5.5),
    "element-wise": (([node("Add", ["x", "z"])], {"x": [64, 1000], "z": [64, 1000]}, {}, 64000), 6),
    "erf": (rows("Erf", 64, 1000), 60),
    "softmax": (rows("Softmax", 64, 1000), 55),
    "layer-norm": (rows("LayerNormalization", 64, 768, [[768], [768]]), 14),
    "transpose": (rows("Transpose", 256, 320, perm=[1, 0]), 10.5),
}


def save(path, nodes, inputs, weights):
    rng = np.random.default_rng(0)
    graph = helper.make_graph(
        nodes, "guard", [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(rng.standard_normal(s).astype(np.float32), n) for n, s in weights.items()])
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path)


@pytest.fixture(scope="module")
def instructions(limosa_command, tmp_path_factory):
    """Compiles a model for AVX2, which is what valgrind knows, and counts the instructions of one run."""
    if not shutil.which("valgrind"):
        pytest.skip("valgrind is not installed")
    folder = tmp_path_factory.mktemp("guards")
    driver = folder / "count-launches"
    subprocess.run(["cc", "-O1", f"-I{ROOT / 'include'}", ROOT / "test/guards/count-launches.c", "-o", driver,
                    f"-L{ROOT / 'build/lib'}", f"-Wl,-rpath,{ROOT / 'build/lib'}", "-llimosa"], check=True)

    def collect(program, runs):
        done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", driver, program,
                               str(runs)], capture_output=True, text=True)
        found = re.search(r"Collected : (\d+)", done.stderr)
        assert done.returncode == 0 and found, done.stdout + done.stderr
        return int(found[1])

    def count(nodes, inputs, weights, *options):
        save(folder / "model.onnx", nodes, inputs, weights)
        limosa_command("compile", folder / "model.onnx", "-o", folder / "model.lim", "--isa", "avx2",
                       "--threads", 1, *options)
        # The first run binds sizes and touches memory.
        return (collect(folder / "model.lim", 6) - collect(folder / "model.lim", 2)) / 4

    return count


@pytest.mark.parametrize("name", KERNELS)
def test_instructions_of_a_kernel(instructions, name):
    (nodes, inputs, weights, work), limit = KERNELS[name]
    per_unit = instructions(nodes, inputs, weights) * LANES / work
    # Less than a quarter of the limit: the kernel no longer does the work that the limit is for.
    assert limit / 4 < per_unit < limit


def test_instructions_of_a_launch(instructions):
    """What each kernel more costs a run, the arithmetic of four elements included."""

    def chain(length):
        names = ["x", *(f"v{i}" for i in range(1, length)), "y"]
        return [helper.make_node("Add", [a, "x"], [b]) for a, b in zip(names, names[1:])]

    short, long = (instructions(chain(n), {"x": [4]}, {}, "--flag", "fuse=off") for n in (16, 48))
    assert 50 < (long - short) / 32 < 400


# Models with kernels that leave a remark, and what it says.
KNOWN = {"ocr-det": "stores channels one by one"}  # its last convolution has one channel


@pytest.mark.parametrize("model", [pytest.param(m, id=m.name) for m in all_models()])
def test_no_slow_path(limosa_command, model_file, model):
    if os.environ.get("LIMOSA_TEST_TIER") == "small" and model.tier != "small":
        pytest.skip("LIMOSA_TEST_TIER=small")
    report = json.loads(limosa_command("inspect", model_file(model.name), "--static", "--json", "--threads", 2).stdout)
    assert report["kernels"]
    assert not [f"{kernel['name']} of {', '.join(kernel['nodes'][:3])}: {remark}"
                for kernel in report["kernels"] for remark in kernel["remarks"]
                if model.name not in KNOWN or KNOWN[model.name] not in remark]
