"""The Python module: what it tells of a model, what it takes, how it refuses."""

import threading

import numpy as np
import pytest
from compare import assert_same


@pytest.fixture(scope="module")
def mlp(limosa, model_file):
    return limosa.load(model_file("small-mlp-opset9"), threads=2)


def test_lists_inputs_and_outputs(mlp):
    (x,), (y,) = mlp.inputs, mlp.outputs
    assert (x.name, x.shape, x.dtype) == ("x", ("batch", 32), "float32")
    assert (y.name, y.shape, y.dtype) == ("y", ("batch", 8), "float32")


def test_second_load_comes_from_the_cache(limosa, model_file, mlp):
    assert limosa.load(model_file("small-mlp-opset9"), threads=2).from_cache


def test_reads_strided_arrays_and_torch_tensors(mlp):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal((4, 32)).astype(np.float32)
    expected = mlp.run({"x": x})
    assert_same(mlp.run({"x": np.asfortranarray(x)}), expected)
    assert_same(mlp.run({"x": np.repeat(x, 2, axis=0)[::2]}), expected)
    assert_same(mlp.run({"x": torch.from_numpy(x)}), expected)
    assert_same(mlp.run({"x": x.tolist()}), expected)
    assert_same(mlp.run({"x": x.astype(">f4")}), expected)


def test_results_outlive_the_model(limosa, model_file):
    model = limosa.load(model_file("small-mlp-opset9"), threads=1)
    y = model.run({"x": np.ones((3, 32), np.float32)})["y"]
    del model
    assert y.shape == (3, 8) and np.isfinite(y).all()


@pytest.mark.parametrize("feeds, error, words", [
    ({}, ValueError, "missing"),
    ({"x": np.ones((2, 32), np.float32), "z": np.ones(1)}, ValueError, "unknown"),
    ({"x": np.ones((2, 32))}, TypeError, "takes float32, but the array is float64"),
    ({"x": np.ones((2, 31), np.float32)}, ValueError, "32"),
    ({"x": np.ones(32, np.float32)}, ValueError, "dimensions"),
])
def test_refuses_wrong_inputs_in_one_line(mlp, feeds, error, words):
    with pytest.raises(error, match=words) as refused:
        mlp.run(feeds)
    assert "\n" not in str(refused.value)


def test_refuses_missing_and_broken_files(limosa, tmp_path):
    with pytest.raises(FileNotFoundError):
        limosa.load(tmp_path / "none.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"\x08\x07nonsense" * 10)
    (tmp_path / "broken.lim").write_bytes(b"LIMOSA\r\n" + b"\xff" * 200)
    for name in ("broken.onnx", "broken.lim"):
        with pytest.raises((ValueError, limosa.Error, NotImplementedError)):
            limosa.load(tmp_path / name)


def test_runs_from_several_threads(mlp):
    x = np.random.default_rng(1).standard_normal((8, 32)).astype(np.float32)
    expected = mlp.run({"x": x})
    failures = []

    def work():
        for _ in range(20):
            if not np.array_equal(mlp.run({"x": x})["y"], expected["y"]):
                failures.append("different bits")

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures


def test_same_bits_with_any_number_of_threads(limosa, model_file):
    x = np.random.default_rng(2).standard_normal((16, 32)).astype(np.float32)
    path = model_file("small-mlp-opset9")
    results = [limosa.load(path, threads=n).run({"x": x})["y"] for n in (1, 2, 3)]
    assert np.array_equal(results[0], results[1]) and np.array_equal(results[0], results[2])


def test_compiles_to_a_file_and_loads_it(limosa, model_file, mlp, tmp_path):
    path = tmp_path / "mlp.lim"
    limosa.compile(model_file("small-mlp-opset9"), path)
    x = np.ones((2, 32), np.float32)
    assert_same(limosa.load(path).run({"x": x}), mlp.run({"x": x}))


def test_writes_a_trace(mlp, tmp_path):
    import json

    with mlp.profile(tmp_path / "trace.json"):
        mlp.run({"x": np.ones((2, 32), np.float32)})
    assert json.loads((tmp_path / "trace.json").read_text())["traceEvents"]


def test_lists_devices(limosa):
    assert "cpu" in limosa.devices()


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn"])
def test_takes_and_gives_types_that_numpy_lacks(limosa, tmp_path, name):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    onnx = pytest.importorskip("onnx")
    kind = {"bfloat16": onnx.TensorProto.BFLOAT16,
            "float8_e4m3fn": onnx.TensorProto.FLOAT8E4M3FN}[name]
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Reshape", ["x", "shape"], ["y"])], "g",
        [value("x", kind, ["n", 4])], [value("y", kind, None)],
        [onnx.helper.make_tensor("shape", onnx.TensorProto.INT64, [1], [-1])])
    path = tmp_path / "m.onnx"
    onnx.save(onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 21)], ir_version=10), path)
    x = np.arange(12).reshape(3, 4).astype(getattr(ml_dtypes, name))
    model = limosa.load(path)
    y = model.run({"x": x})["y"]
    assert y.dtype == x.dtype and (y == x.reshape(-1)).all()
    with pytest.raises(TypeError, match=f"takes {name}"):
        model.run({"x": x.astype(ml_dtypes.float8_e5m2)})
    with pytest.raises(TypeError, match=f"takes {name}"):
        model.run({"x": x.astype(np.float32)})
