"""Operators of the user's own in C and C++, and the examples."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from custom_models import F32, chain, node, random, save  # noqa: E402
from onnx import TensorProto, helper  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


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
