"""The benchmark suite: its tables, variants, files, results, and page. No timings."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

from suite import export, inspection, measure, page, rounds, scores, store, table  # noqa: E402
from suite.case import Family, Input  # noqa: E402
from suite.measure import compare  # noqa: E402
from suite.networks import NETWORKS  # noqa: E402
from suite.variants import AXES, variants  # noqa: E402

LINEAR = Family("small", "linear", (Input("x", ("batch", 4)),), dict(inner=4, columns=3))


def test_cases_have_names_of_their_own_and_known_networks():
    cases = table.all_cases()
    assert len({c.name for c in cases}) == len(cases)
    assert {c.family.network for c in cases} <= {*NETWORKS, "packaged"}
    assert {c.family.group for c in cases} == {"suite", "variant", "sweep"}
    definitions = [json.dumps(c.definition()) for c in cases]
    assert len(set(definitions)) == len(cases), "two cases are the same model"


def test_the_suite_has_its_models():
    names = {f.name for f in table.suite()}
    assert names >= {"resnet18", "resnet50", "resnext101-32x8d", "mobilenetv2", "mobilenetv3",
                     "efficientnet-b0", "efficientnet-b4", "vit-b16", "convnext-t", "swin-t", "unet",
                     "bert-base", "bert-large", "minilm", "gpt2-prefill", "gpt2-token",
                     "lstm-256x1", "lstm-256x4", "lstm-1024x1", "lstm-1024x4", "ocr-det",
                     "ocr-cls", "ocr-rec"}
    assert set(AXES) <= names


def test_first_sizes_come_before_the_others():
    suite = [c for c in table.all_cases() if c.family.group == "suite"]
    first = [c == c.family.cases()[0] for c in suite]
    assert first == sorted(first, reverse=True)


@pytest.mark.parametrize("family", table.suite(), ids=lambda f: f.name)
def test_variants_change_something_and_name_their_base(family):
    made = variants(family)
    for variant in made:
        assert variant.group == "variant" and variant.base == family.cases()[0].name
        case = variant.cases()[0]
        assert case.definition() != family.cases()[0].definition()
    assert [v.name for v in made] == [v.name for v in variants(family)]  # the same everywhere
    axes = AXES.get(family.name, ())
    assert len(made) >= sum(len(a.values) for a in axes)


def test_inputs_are_the_same_each_time_and_of_the_right_sizes():
    case = next(c for c in table.all_cases() if c.name == "gpt2-token-b8-s1-p128")
    feeds, again = case.feeds(), case.feeds()
    assert feeds["attention_mask"].shape == (8, 129)
    assert feeds["past.0.key"].shape == (8, 12, 128, 64)
    assert feeds["input_ids"].max() < 50257
    assert all(np.array_equal(feeds[name], again[name]) for name in feeds)


def test_an_interrupted_export_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMOSA_BENCH_CACHE", str(tmp_path))

    def stopped(case, path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "_write_traced", stopped)
    case = LINEAR.cases()[0]
    with pytest.raises(KeyboardInterrupt):
        export.export(case)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_change_of_the_definition_makes_a_new_file(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMOSA_BENCH_CACHE", str(tmp_path))
    wider = LINEAR.but(options=dict(inner=4, columns=5))
    assert export.folder(LINEAR.cases()[0]) != export.folder(wider.cases()[0])


def test_torch_runs_the_module_behind_the_file(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    monkeypatch.setenv("LIMOSA_BENCH_CACHE", str(tmp_path))
    from suite import torch_module

    case = next(c for c in table.all_cases() if c.name == "conv-odd-17x33x61x3x1x1")
    path = export.export(case) / "model.onnx"
    module, takes, gives = torch_module.load(case.name)
    feeds = case.feeds()
    expected = onnxruntime.InferenceSession(str(path)).run(gives, feeds)[0]
    found = module(*(torch.from_numpy(feeds[n]) for n in takes)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_engines_take_turns_and_one_that_fails_leaves():
    calls = []

    def engine(name, broken=False):
        def run(count):
            calls.append(name)
            if broken and calls.count(name) > 2:
                raise RuntimeError("out of paper")
            return [0.5] * count
        return run

    times, failures = rounds.interleave(
        {"a": engine("a"), "b": engine("b"), "c": engine("c", broken=True)}, 4, 0.0, pause=0)
    assert failures == {"c": "out of paper"} and set(times) == {"a", "b"}
    assert len(times["a"].medians) == 4
    assert calls[:3] == ["a", "b", "c"]
    turns = [c for c in calls[3:] if c != "c"]
    assert {tuple(turns[i:i + 2]) for i in range(0, 8, 2)} == {("a", "b"), ("b", "a")}


def test_caches_of_a_run_are_removed_and_those_of_killed_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMOSA_BENCH_CACHE", str(tmp_path))
    left = tmp_path / "run-999999999-x"  # no process has this number
    left.mkdir()
    with pytest.raises(KeyboardInterrupt), measure._caches() as caches:
        assert caches.is_dir() and not left.exists()
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_differences_of_outputs():
    one = {"y": np.array([1.0, 2.0], np.float32)}
    assert rounds.difference(one, one) == 0
    assert rounds.difference(one, {"y": np.array([1.0, 2.5], np.float32)}) == pytest.approx(0.2)
    assert rounds.difference(one, {"z": one["y"]}) == float("inf")
    assert rounds.difference(one, {"y": np.array([1.0, np.nan], np.float32)}) == float("inf")


def record(name, own, peers, **fields):
    """A result with constant rounds."""
    def times(seconds):
        return {"median": seconds, "best": seconds, "p90": seconds, "runs": 3,
                "round_medians": [seconds] * 3, "version": "1", "settings": {"threads": 2},
                "cold_seconds": 1.0, "peak_bytes": 3 << 20, "base_bytes": 1 << 20, "agrees": True}
    made = {"case": name, "family": name, "group": "suite", "base": "", "tags": [], "sizes": {},
            "threads": 2, "precision": "f32", "model": "m", "build": "b",
            "engines": {"limosa": times(own), **{n: times(s) for n, s in peers.items()}},
            "inspect": {"flops": 1e9, "bytes": 1e6, "roof_seconds": 0.5, "bound": "compute",
                        "peak_flops": 1e11, "bandwidth": 1e10, "run_seconds": own,
                        "classes": {"products": own}, "between_kernels": 0.0,
                        "kernels": [{"template": "contract", "ops": "contract", "nodes": "/<Mul>",
                                     "launches": 1, "seconds": own, "class": "products",
                                     "of_roof": 0.5}]}, **fields}
    compare(made)
    return made


@pytest.fixture
def records():
    return [record("wins", 1.0, {"onnxruntime": 3.0, "openvino": 2.0}, tags=["light"]),
            record("loses", 2.0, {"onnxruntime": 1.0, "openvino": 4.0}),
            record("loses~wide", 4.0, {"onnxruntime": 4.0}, group="variant", base="loses")]


def test_the_ratio_is_to_the_fastest_peer(records):
    assert [(r["fastest"], r["ratio"]) for r in records[:2]] == [("openvino", 2.0),
                                                                 ("onnxruntime", 0.5)]
    assert [scores.verdict(r) for r in records] == ["faster", "slower", "same"]
    assert [r["case"] for r in scores.compared(records)] == ["loses", "loses~wide", "wins"]
    assert scores.mean(records[:2]) == pytest.approx(1.0)
    means = {words: scores.mean(part) for words, part in scores.parts(records)}
    assert means["its light and recurrent models"] == pytest.approx(2.0)
    assert scores.against_base(records[2], records) == pytest.approx(0.5)


def test_a_case_without_a_peer_or_without_limosa_has_no_ratio():
    alone = record("alone", 1.0, {})
    assert "ratio" not in alone and scores.mean([alone]) is None


def test_results_outlive_an_interruption(tmp_path, records):
    results = store.Store(tmp_path)
    for r in records:
        results.append(r)
    with open(results.path, "a") as file:
        file.write('{"case": "torn", "thr')  # the machine was switched off
    assert [r["case"] for r in results.load()] == ["wins", "loses", "loses~wide"]
    results.append({**records[0], "build": "later"})
    assert [r["build"] for r in results.load() if r["case"] == "wins"] == ["later"]
    results.compact()
    assert len(results.path.read_text().splitlines()) == 3


def test_a_run_goes_on_only_after_results_of_the_same_build_and_model(records):
    assert store.is_done(records[0], "b", "m", ["limosa", "openvino"])
    assert not store.is_done(records[0], "other", "m", ["limosa"])
    assert not store.is_done(records[0], "b", "other", ["limosa"])
    assert not store.is_done(records[0], "b", "m", ["limosa", "torch"])


def test_the_page_shows_losses_differences_and_what_did_not_run(tmp_path, records):
    records[0]["engines"]["openvino"].update(agrees=False, difference=0.25)
    records.append({**record("silent", 1.0, {}), "engines": {"limosa": {"error": "no <Loop>"}}})
    results = store.Store(tmp_path)
    for r in records:
        results.append(r)
    results.write_machine({"processor": "Abacus 9", "limits": [], "note": "under load"})
    text = page.write_page(results).read_text()
    assert text.index(">loses<") < text.index(">wins<")
    for words in ("Abacus 9", "under load", "1 slower", "2.5e-01", "no &lt;Loop&gt;", "/&lt;Mul&gt;",
                  "1 without a result", "threads = 2"):
        assert words in text, words
    assert "<script" not in text and "http://" not in text and "https://" not in text


def test_a_narrow_precision_is_compared_with_its_peers_and_with_f32(tmp_path, records):
    narrow = record("wins", 0.5, {"openvino": 0.6, "limosa-f32": 1.0}, precision="bf16")
    assert (narrow["fastest"], narrow["ratio"]) == ("openvino", pytest.approx(1.2))
    assert narrow["over_f32"]["ratio"] == pytest.approx(2.0)
    narrow["engines"]["limosa"]["difference"] = 0.0039
    results = store.Store(tmp_path)
    for r in [*records, narrow]:
        results.append(r)
    assert len(results.load()) == 4  # beside the result in f32
    text = page.write_page(results).read_text()
    section = text[text.index("bf16, 2 threads"):]
    for words in ("2.00 (2.00 to 2.00)", "3.9e-03", "1.20"):
        assert words in section, words


def test_differences_are_told_from_f32():
    made = {"precision": "bf16", "engines": {n: {} for n in ("limosa", "openvino", "limosa-f32")}}
    arrays = {"limosa": 1.5, "openvino": 1.25, "limosa-f32": 1.0}
    measure._compare_outputs({n: lambda v=v: {"y": np.array([v])} for n, v in arrays.items()}, made)
    assert made["engines"] == {"limosa": {"difference": 0.5}, "openvino": {"difference": 0.25},
                               "limosa-f32": {}}


def test_only_engines_with_a_mode_start():
    plan = measure.Plan(("limosa", "onnxruntime", "openvino", "jax"))
    assert plan.starters("f32") == plan.engines
    assert plan.starters("bf16") == ("limosa", "openvino", "limosa-f32")


@pytest.mark.parametrize("ops, expected", [
    ("contract, add x2, max", "products"), ("constant x2, conv, reduce", "products"),
    ("reduce, mul, exp x2", "normalisation"), ("mul, add, tanh", "element-wise"),
    ("reshape, transpose x3, concat", "movement"), ("relayout", "movement")])
def test_classes_of_kernels(ops, expected):
    assert inspection.class_of({"ops": ops}) == expected


def test_the_roofline_of_a_model():
    kernels = [{"ops": "contract", "template": "contract", "nodes": "", "launches": 1,
                "seconds": 0.25, "flops": 4e9}]
    report = {"kernels": kernels, "run_seconds": 0.5, "memory": {"weights": 900, "arena": 7}}
    limits = {"f32_flops": 1e10, "read_bytes_per_second": 1e3}
    found = inspection.summarise(report, limits, 100)
    assert found["roof_seconds"] == 1.0 and found["bound"] == "memory"
    assert found["classes"]["products"] == 0.25 and found["between_kernels"] == 0.25


@pytest.mark.parametrize("engine, expected", [
    ("onnxruntime", {"graph_optimization_level": "ORT_ENABLE_ALL", "intra_op_num_threads": 1}),
    ("openvino", {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY",
                  "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}),
    ("jax", {"matmul_precision": "highest", "processors": 1})])
def test_settings_of_the_engines(tmp_path, monkeypatch, engine, expected):
    pytest.importorskip(engine)
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from suite.engines import Engine
    from suite.measure import TORCH_MODULE

    monkeypatch.setenv("LIMOSA_BENCH_CACHE", str(tmp_path / "cache"))
    case = next(c for c in table.all_cases() if c.name == "product-odd-127x129x131")
    model = export.export(case)
    running = Engine(engine, model, 1, tmp_path, f"{TORCH_MODULE}:{case.name}")
    try:
        assert expected.items() <= running.settings.items()
        assert len(running.run(2)) == 2 and running.peak_bytes > 0
        assert set(running.outputs()) == {"y"}
    finally:
        running.close()


@pytest.mark.parametrize("broken, expected", [
    ((), {"freezing": True, "max_autotune": True, "cpp_wrapper": True}),
    (("cpp_wrapper",), {"freezing": True, "max_autotune": True, "cpp_wrapper": False})])
def test_torch_takes_the_best_compiler_settings_that_work(monkeypatch, broken, expected):
    torch = pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(ROOT / "python" / "limosa"))
    import bench_peers

    def compiled(module, dynamic, options):
        def run(*inputs):
            if any(options[name] for name in broken):
                raise RuntimeError("no C++ compiler")
            return module(*inputs)
        return run

    monkeypatch.setattr(torch, "compile", compiled)
    case = next(c for c in table.all_cases() if c.name == "product-odd-127x129x131")
    options = SimpleNamespace(threads=torch.get_num_threads(), model="", precision="f32",
                              torch_module=f"{ROOT / 'bench/suite/torch_module.py'}:{case.name}")
    engine = bench_peers.Torch(options, case.feeds())
    assert engine.settings["torch.compile"] == expected
    assert engine.settings["source"] == "torch module"
    assert engine.settings["float32_matmul_precision"] == "highest"
    assert ("failures" in engine.settings) == bool(broken)
    assert [tuple(r.shape) for r in engine.run()] == [(127, 131)]


def test_an_engine_says_why_it_can_not(tmp_path):
    from suite.engines import Engine, EngineError

    np.savez(tmp_path / "inputs.npz", x=np.zeros(1, np.float32))
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(EngineError):
        Engine("onnxruntime", tmp_path, 1, tmp_path)


@pytest.mark.parametrize("kind, layers, bidirectional", [
    ("LSTM", 1, False), ("LSTM", 2, True), ("GRU", 2, True)])
@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_recurrent_nodes_translate(tmp_path, monkeypatch, kind, layers, bidirectional, framework):
    """python/limosa/onnx_recurrent.py against onnxruntime."""
    pytest.importorskip(framework)
    pytest.importorskip("torch")
    onnxruntime = pytest.importorskip("onnxruntime")
    monkeypatch.setenv("LIMOSA_BENCH_CACHE", str(tmp_path))
    monkeypatch.syspath_prepend(str(ROOT / "python" / "limosa"))
    import onnx_graph

    family = Family("cell", "lstm", (Input("x", (5, "batch", 6)),),
                    dict(width=6, hidden=4, layers=layers, cell=kind, bidirectional=bidirectional),
                    (dict(batch=3),))
    case = family.cases()[0]
    path, feeds = str(export.export(case) / "model.onnx"), case.feeds()
    expected = onnxruntime.InferenceSession(path).run(["y"], feeds)[0]
    graph = onnx_graph.OnnxGraph(path, feeds)
    ops = onnx_graph.TorchOps() if framework == "torch" else onnx_graph.JaxOps()
    found = graph.bind(ops)(*(ops.array(feeds[name]) for name in graph.input_names))[0]
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("node, attributes, shape, constants", [
    ("ConvTranspose", dict(strides=[2, 3], pads=[1, 0, 1, 0], output_padding=[1, 0], group=2),
     (1, 4, 5, 6), [(4, 3, 3, 2), (6,)]),
    ("ConvTranspose", dict(dilations=[2, 2]), (2, 3, 4, 4), [(3, 2, 2, 3)]),
    ("Pad", {}, (2, 3), [np.array([0, 1, 2, 0]), np.array(0.5, np.float32)]),
    ("Mod", dict(fmod=1), (7,), [np.array(0.3, np.float32)])])
@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_nodes_translate(tmp_path, monkeypatch, node, attributes, shape, constants, framework):
    """Rows of python/limosa/onnx_graph.py against onnxruntime."""
    pytest.importorskip(framework)
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    monkeypatch.syspath_prepend(str(ROOT / "python" / "limosa"))
    import onnx_graph

    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape, np.float32)
    values = [rng.standard_normal(c, np.float32) if isinstance(c, tuple) else c for c in constants]
    weights = [onnx.numpy_helper.from_array(v, f"w{i}") for i, v in enumerate(values)]
    real = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(node, ["x", *(w.name for w in weights)], ["y"], **attributes)], "g",
        [onnx.helper.make_tensor_value_info("x", real, shape)],
        [onnx.helper.make_tensor_value_info("y", real, None)], weights)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)],
                                   ir_version=8)
    path = str(tmp_path / "model.onnx")
    onnx.save(model, path)
    expected = onnxruntime.InferenceSession(path).run(["y"], {"x": x})[0]
    translated = onnx_graph.OnnxGraph(path, {"x": x})
    ops = onnx_graph.TorchOps() if framework == "torch" else onnx_graph.JaxOps()
    found = translated.bind(ops)(ops.array(x))[0]
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-4, atol=1e-5)
