"""What `cmake --install` installs works by itself: without the folder that it was built in."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"


@pytest.fixture(scope="module")
def installed(command, tmp_path_factory):
    """Runs the installed command in an environment of its own, the build folder out of its sight."""
    folder = tmp_path_factory.mktemp("install")
    prefix = folder / "prefix"
    done = subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix, "--strip"],
                          capture_output=True, text=True)
    if "No such file" in done.stderr or "cannot find" in done.stderr:
        pytest.skip(f"not all of it is built: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    # An empty folder over the build folder, where the system lets us.
    hidden = ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs none "{BUILD}" && exec "$@"', "sh"]
    if not shutil.which("unshare") or subprocess.run([*hidden, "true"], capture_output=True).returncode:
        hidden = []
    environment = {"PATH": f"{prefix / 'bin'}:/usr/bin:/bin", "HOME": str(folder),
                   "LIMOSA_CACHE_DIR": str(folder / "cache")}

    def call(*arguments):
        run = subprocess.run([*hidden, "limosa", *map(str, arguments)], capture_output=True, text=True,
                             env=environment, cwd=folder)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    call.prefix = prefix
    return call


def save(path, nodes, inputs, initializers=(), opset=17):
    graph = helper.make_graph(nodes, "g", inputs, [helper.make_empty_tensor_value_info("y")], initializers)
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", opset)]), path)
    return path


def test_compiles_runs_and_verifies(installed, tmp_path):
    x, w = (np.random.default_rng(0).standard_normal(shape).astype(np.float32) for shape in ((5, 8), (8, 3)))
    model = save(tmp_path / "model.onnx",
                 [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("Relu", ["a"], ["y"])],
                 [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 8])],
                 [numpy_helper.from_array(w, "w")])
    np.save(tmp_path / "x.npy", x)
    installed("compile", model, "-o", tmp_path / "model.lim")
    for path in (model, tmp_path / "model.lim"):
        installed("run", path, "--input", f"x={tmp_path / 'x.npy'}", "-o", tmp_path / "y.npy")
        np.testing.assert_allclose(np.load(tmp_path / "y.npy"), np.maximum(x @ w, 0), rtol=1e-5, atol=1e-5)
    found = json.loads(installed("verify", model, "--json"))
    assert found["good"] and found["outputs"] and not found["not_compared"]


def test_has_the_operators_of_the_host(installed, tmp_path):
    if not (BUILD / "lib" / "liblimosa_host.so").exists():
        pytest.skip("built without RE2")
    model = save(tmp_path / "model.onnx", [helper.make_node("StringConcat", ["x", "x"], ["y"])],
                 [helper.make_tensor_value_info("x", TensorProto.STRING, ["N"])], opset=20)
    np.save(tmp_path / "x.npy", np.array(["ab", "é"]))
    installed("run", model, "--input", f"x={tmp_path / 'x.npy'}", "-o", tmp_path / "y.npy")
    assert np.load(tmp_path / "y.npy").tolist() == ["abab", "éé"]


def test_refers_to_nothing_in_the_build_folder(installed):
    if not shutil.which("readelf"):
        pytest.skip("readelf is not installed")
    for path in [installed.prefix / "bin" / "limosa", *installed.prefix.glob("lib*/**/*.so")]:
        said = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True,
                              env=dict(os.environ, LC_ALL="C")).stdout
        assert str(BUILD) not in said, path
