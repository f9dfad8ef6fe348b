"""The command line, on real models and on mistakes."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest


def test_run_reads_and_writes_arrays(limosa_command, model_file, limosa, tmp_path):
    path = model_file("small-mlp-opset9")
    x = np.random.default_rng(0).standard_normal((3, 32)).astype(np.float32)
    np.savez_compressed(tmp_path / "in.npz", x=x)
    np.save(tmp_path / "in.npy", np.asfortranarray(x))
    expected = limosa.load(path).run({"x": x})["y"]
    for given in ("in.npz", f"x={tmp_path / 'in.npy'}"):
        source = given if "=" in given else tmp_path / given
        limosa_command("run", path, "--input", source, "-o", tmp_path / "out.npz")
        with np.load(tmp_path / "out.npz") as results:
            np.testing.assert_allclose(results["y"], expected, rtol=1e-5, atol=1e-6)
    limosa_command("run", path, "--input", tmp_path / "in.npz", "-o", tmp_path / "out.npy")
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, rtol=1e-5, atol=1e-6)


def test_run_reads_and_writes_safetensors(limosa_command, model_file, limosa, tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    path = model_file("small-mlp-opset9")
    x = np.random.default_rng(0).standard_normal((3, 32)).astype(np.float32)
    safetensors.save_file({"x": x}, tmp_path / "in.safetensors", metadata={"format": "np"})
    limosa_command("run", path, "-i", tmp_path / "in.safetensors", "-o", tmp_path / "out.safetensors")
    np.testing.assert_array_equal(safetensors.load_file(tmp_path / "out.safetensors")["y"],
                                  limosa.load(path).run({"x": x})["y"])


@pytest.mark.parametrize("header, payload, words", [
    (b'{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 7, "'x' overlap others"),
    (b'{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 9, "bytes behind its last tensor"),
    (b'{"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}', 8, "another number of bytes"),
    (b'{"x":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}', 0, "another number of bytes"),
    (b'{"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', 4, "a number is where"),
    (b'{"x":{"dtype":"Q7","shape":[2],"data_offsets":[0,8]}}', 8, "type Q7, which is not supported"),
    (b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
     b'"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', 8, "two tensors are called 'x'"),
    (b'{"x":' + b"[" * 100000, 8, "a list is where"),
    (b'{"x":{"dtype":"F32"}}', 0, "no shape"),
    (b'{"x"', 0, "not JSON at byte"),
])
def test_broken_safetensors(limosa_command, model_file, tmp_path, header, payload, words):
    broken = tmp_path / "in.safetensors"
    broken.write_bytes(len(header).to_bytes(8, "little") + header + bytes(payload))
    result = limosa_command("run", model_file("small-mlp-opset9"), "-i", broken, code=1)
    assert words in result.stderr and "Traceback" not in result.stderr


def test_run_makes_random_inputs_and_says_so(limosa_command, model_file):
    out = json.loads(limosa_command("run", model_file("small-embedding"), "--size", "seq=7",
                                    "--json").stdout)
    assert out["assumed_sizes"] == ["batch=1"]
    assert {o["name"]: o["shape"] for o in out["outputs"]}["folded"] == [1, 7]


def test_run_writes_a_trace(limosa_command, model_file, tmp_path):
    limosa_command("run", model_file("small-mlp-opset9"), "--profile", tmp_path / "t.json")
    assert json.loads((tmp_path / "t.json").read_text())["traceEvents"]


@pytest.mark.parametrize("arguments, words", [
    (["run", "none.onnx"], "cannot read none.onnx"),
    (["run", "{model}", "--input", "z=random"], "no input 'z'; its inputs are: x"),
    (["run", "{model}", "--size", "rows=2"], "no input has a dimension called 'rows'"),
    (["run", "{model}", "--input", "x=missing.npy"], "cannot read missing.npy"),
    (["run", "{model}", "--device", "abacus"], "abacus"),
    (["run", "{model}", "--entry", "other"], "other"),
])
def test_errors_are_one_line_that_says_what_to_do(limosa_command, model_file, arguments, words):
    arguments = [a.replace("{model}", str(model_file("small-mlp-opset9"))) for a in arguments]
    said = limosa_command(*arguments, code=1).stderr
    assert said.startswith("error: ") and words in said
    assert said.count("\n") == 1


def test_outputs_that_are_no_plain_files(command, limosa_command, model_file, tmp_path):
    """Links stay links; devices, pipes and what /dev/stdout is open on are written to, never replaced."""
    model = model_file("small-mlp-opset9")
    link, real, log = (tmp_path / name for name in ("link.mlir", "real.mlir", "log"))
    real.touch()
    link.symlink_to(real)
    limosa_command("compile", model, "--emit", "mlir-core", "-o", link)
    assert link.is_symlink() and "limosa.contract" in real.read_text()
    for name in ("/dev/stdout", "-"):
        log.write_text("kept\n")
        with open(log, "a") as stream:
            subprocess.run([command, "compile", model, "--emit", "mlir-core", "-o", name], check=True, stdout=stream)
        assert log.read_text() == "kept\n" + real.read_text()
        assert subprocess.run([command, "compile", model, "--emit", "mlir-core", "-o", name], check=True, text=True,
                              stdout=subprocess.PIPE).stdout == real.read_text()
    for output in (["--emit", "mlir-core"], []):
        limosa_command("compile", model, *output, "-o", "/dev/null")
    assert Path("/dev/null").is_char_device() and Path("/dev/stdout").is_symlink()


def test_memory_small(limosa_command, limosa, tmp_path):
    """Filters as they are instead of transformed ones, which are four times as large."""
    onnx = pytest.importorskip("onnx")
    filters = np.random.default_rng(0).standard_normal((64, 64, 3, 3)).astype(np.float32)
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])], "g",
        [value("x", onnx.TensorProto.FLOAT, [1, 64, 56, 56])], [value("y", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(filters, "w")])
    model, fast, small = (tmp_path / name for name in ("m.onnx", "fast.lim", "small.lim"))
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), model)
    limosa_command("compile", model, "-o", fast)
    limosa_command("compile", model, "-o", small, "--memory", "small")
    assert fast.stat().st_size - small.stat().st_size > 2.5 * filters.nbytes
    x = np.random.default_rng(1).standard_normal((1, 64, 56, 56)).astype(np.float32)
    expected = limosa.load(fast).run({"x": x})["y"]
    for path, options in ((small, {}), (model, {"memory": "small"})):
        np.testing.assert_allclose(limosa.load(path, **options).run({"x": x})["y"], expected, atol=1e-3)
    assert "fast or small, not 'tiny'" in limosa_command("compile", model, "-f", "memory=tiny", code=1).stderr


def test_compile_then_run_and_inspect_the_file(limosa_command, model_file, tmp_path):
    path = tmp_path / "net.lim"
    said = limosa_command("compile", model_file("small-convnet"), "-o", path).stdout
    assert "compiled in" in said
    limosa_command("run", path)
    found = json.loads(limosa_command("inspect", path, "--json", "--html",
                                      tmp_path / "net.html").stdout)
    assert found["kernels"] and all(k["ops"] for k in found["kernels"])
    assert found["memory"]["peak"] > 0 and found["passes"]
    assert (tmp_path / "net.html").read_text().startswith("<!doctype html>")


def test_bench_measures_and_compares(limosa_command, model_file, tmp_path):
    pytest.importorskip("onnxruntime")
    found = json.loads(limosa_command(
        "bench", model_file("small-mlp-opset9"), "--vs", "onnxruntime", "--rounds", 3,
        "--seconds", 0.5, "--json", "--html", tmp_path / "b.html").stdout)
    own, other = found["results"]
    assert own["median_seconds"] > 0 and other["outputs_agree"]
    assert (tmp_path / "b.html").exists()


def test_bench_measures_the_machine(limosa_command):
    limits = json.loads(limosa_command("bench", "--json").stdout)["limits"]
    assert limits[0]["f32_flops"] > 1e9 and limits[0]["read_bytes_per_second"] > 1e8


def test_nothing_but_the_report_without_a_terminal(limosa_command, model_file):
    run = limosa_command("run", model_file("small-mlp-opset9"), "--no-cache")
    assert run.stderr == ""


def test_devices_doctor_and_help(limosa_command):
    assert json.loads(limosa_command("devices", "--json").stdout)[0]["name"] == "cpu"
    assert {c["check"] for c in json.loads(limosa_command("doctor", "--json").stdout)} >= {
        "processor", "compiler", "cache"}
    for name in ("run", "compile", "verify", "inspect", "bench", "devices", "doctor"):
        assert "Example" in limosa_command(name, "--help").stdout


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_every_command(limosa_command, shell):
    script = limosa_command("completion", shell).stdout
    assert all(word in script for word in ("run", "bench", "--threads", "--profile"))
