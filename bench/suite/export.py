"""Model files of the cases, kept outside the clone.

$LIMOSA_BENCH_CACHE, or limosa-dev/bench in the user's cache folder. A file's name
holds a hash of the case's definition, of the code that builds the network and of
the packages' versions, so that a change of any makes a new file. Files are written
aside and renamed whole: a run that is interrupted leaves none that is half written.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from .case import Case
from .networks import NETWORKS, build, package_file

PACKAGES = {"torchvision": ("torch", "torchvision"), "timm": ("torch", "timm"),
            "bert": ("torch", "transformers"), "gpt2": ("torch", "transformers"),
            "packaged": ("onnx", "rapidocr-onnxruntime")}


def cache_folder() -> Path:
    if path := os.environ.get("LIMOSA_BENCH_CACHE"):
        return Path(path)
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "limosa-dev" / "bench"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def key(case: Case) -> str:
    """What the model file depends on, as a short hash."""
    make = NETWORKS.get(case.family.network, _write_packaged)
    parts = {"definition": case.definition(), "source": inspect.getsource(make),
             "exporter": inspect.getsource(_write_traced),
             "versions": [_version(p) for p in PACKAGES.get(case.family.network, ("torch",))]}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def folder(case: Case) -> Path:
    return cache_folder() / "models" / f"{case.name}-{key(case)}"


def export(case: Case) -> Path:
    """The folder with model.onnx and inputs.npz, made when it is missing."""
    path = folder(case)
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{case.name}-", dir=path.parent))
    try:
        write = _write_packaged if case.family.network == "packaged" else _write_traced
        write(case, aside / "model.onnx")
        np.savez(aside / "inputs.npz", **case.feeds())
        try:
            os.rename(aside, path)
        except OSError:  # another process was quicker
            if not path.exists():
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return path


def has_torch_module(case: Case) -> bool:
    return case.family.network != "packaged"


def output_names(case: Case) -> list[str]:
    """Of a network that torch built: y, or y0, y1 ... where there are several."""
    layers = sum(i.name.startswith("past.") for i in case.family.inputs) // 2
    if case.family.network != "gpt2":
        return ["y"]
    layers = layers or case.family.options.get("n_layer", 12)
    return [f"y{i}" for i in range(1 + 2 * layers)]


def _write_traced(case: Case, path: Path) -> None:
    import torch

    from .harness import trace

    module = build(case.family.network, case.family.options)
    feeds = case.feeds()
    trace(module, path, [torch.from_numpy(feeds[i.name]) for i in case.family.inputs],
          list(feeds), output_names(case), {}, opset=17)


def _write_packaged(case: Case, path: Path) -> None:
    """A package's file with its sizes set to the case's, as the other files have them."""
    import onnx

    options = case.family.options
    model = onnx.load(package_file(options["package"], options["file"]))
    for value, given in zip(model.graph.input, case.family.inputs):
        dims = value.type.tensor_type.shape.dim
        for dim, size in zip(dims, given.dims(case.sizes)):
            dim.dim_value = size
        if value.name != given.name:
            raise ValueError(f"the file's input is called {value.name}, not {given.name}")
    del model.graph.value_info[:]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    onnx.save(model, path)
