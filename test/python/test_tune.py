"""Models compiled with --tune: kernels timed in several ways."""

import json
import os
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper


def _save(path, batch):
    rng = np.random.default_rng(1)

    def weight(name, *shape):
        values = rng.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32)
        return numpy_helper.from_array(values, name)

    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w1"], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["d"]),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node("Gemm", ["e", "w2"], ["y"], transB=1)]
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 16, 20, 20])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 10])],
        [weight("w0", 32, 16, 3, 3), weight("w1", 64, 32, 1, 1), weight("w2", 10, 64)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


@pytest.fixture
def small(tmp_path):
    return _save(tmp_path / "small.onnx", 2)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache folder of this test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("LIMOSA_CACHE_DIR", str(folder))
    return folder


def _notes(cache):
    return sorted(cache.glob("choice-*.note"))


def _kernels(limosa_command, path, *options):
    report = limosa_command("inspect", path, "--static", "--json", *options).stdout
    return json.loads(report)["kernels"]


def test_choices_are_measured_and_kept(limosa_command, small, cache, tmp_path):
    plain, tuned = tmp_path / "plain.lim", tmp_path / "tuned.lim"
    limosa_command("compile", small, "-o", plain, "-t", 2)
    assert not cache.exists() or not _notes(cache)
    limosa_command("compile", small, "-o", tuned, "-t", 2, "--tune")
    for kernel in _kernels(limosa_command, plain):
        assert "measured" not in kernel
        assert all(c["value"] == c["estimate"] for c in kernel.get("choices", []))
    measured = [k for k in _kernels(limosa_command, tuned) if "measured" in k]
    assert any(c["name"] == "template" for k in measured for c in k["choices"])
    for kernel in measured:
        times = kernel["measured"]
        assert 0 < times["seconds"] and 0 < times["estimate_seconds"] and times["tried"] > 0
    text = limosa_command("inspect", tuned, "--static").stdout
    assert "tuned kernel" in text and "estimate's time" in text
    # What is known is not measured again: the notes and hence the file stay.
    notes = {path: path.read_text() for path in _notes(cache)}
    assert len(notes) >= len({k["name"] for k in measured}) - 1
    again = tmp_path / "again.lim"
    limosa_command("compile", small, "-o", again, "-t", 2, "--tune")
    assert {path: path.read_text() for path in _notes(cache)} == notes
    assert _kernels(limosa_command, again) == _kernels(limosa_command, tuned)


def test_damaged_notes_are_measured_again(limosa_command, small, cache, tmp_path):
    limosa_command("compile", small, "-o", tmp_path / "a.lim", "-t", 1, "--tune")
    notes = _notes(cache)
    texts = ["", "limosa-choice-1\nconv.lines=99999\n1e0 1e0 1\n", "\0" * 100, "x" * 100000]
    for path, text in zip(notes, texts * len(notes)):
        path.write_text(text)
    limosa_command("compile", small, "-o", tmp_path / "a.lim", "-t", 1, "--tune")
    for path in notes:
        assert path.read_text().startswith("limosa-choice-1\n")
        assert "99999" not in path.read_text()


def test_results_stay(limosa, small):
    x = np.random.default_rng(2).normal(size=(2, 16, 20, 20)).astype(np.float32)
    plain = limosa.load(small, threads=2).run({"x": x})["y"]
    model = limosa.load(small, threads=2, tune=True)
    np.testing.assert_allclose(model.run({"x": x})["y"], plain, rtol=1e-4, atol=1e-4)
    again = limosa.load(small, threads=2, tune=True)
    assert again.from_cache
    assert np.array_equal(again.run({"x": x})["y"], model.run({"x": x})["y"])


def test_open_sizes(command, cache, tmp_path):
    path = _save(tmp_path / "open.onnx", "batch")

    def compile(*options):
        run = subprocess.run(
            [command, "compile", path, "-o", tmp_path / "a.lim", "--tune", *options],
            capture_output=True, text=True)
        return run.returncode, run.stderr

    code, words = compile()
    assert code == 0 and "--size batch=" in words and len(words.splitlines()) == 1
    assert compile("--size", "batch=3") == (0, "")
    code, words = compile("--size", "batch=many")
    assert code == 1 and "tune.batch takes a size" in words


def test_wrong_use(limosa_command, small, tmp_path):
    failed = limosa_command("compile", small, "-f", "tune=perhaps", code=1)
    assert "takes on or off" in failed.stderr
    limosa_command("compile", small, "--size", "batch=2", code=2)


def test_several_processes_at_once(command, small, cache, tmp_path):
    environment = {**os.environ, "LIMOSA_CACHE_DIR": str(cache)}
    runs = [subprocess.Popen(
        [command, "compile", small, "-t", "1", "--tune", "-o", tmp_path / f"{i}.lim"],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for i in range(3)]
    for run in runs:
        assert run.communicate()[1] == b"" and run.returncode == 0
    # One has measured, the others took it from there.
    files = [tmp_path / f"{i}.lim" for i in range(3)]
    reports = [subprocess.run([command, "inspect", "--static", "--json", file],
                              capture_output=True, text=True, check=True).stdout
               for file in files]
    assert len({json.dumps(json.loads(r)["kernels"]) for r in reports}) == 1
