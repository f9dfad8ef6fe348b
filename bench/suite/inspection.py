"""Where Limosa's time goes and what the machine would allow, from `limosa inspect`."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from .engines import environment
from .machine import COMMAND, with_class

CLASSES = ("products", "normalisation", "element-wise", "movement", "other")
_PRODUCTS = {"contract", "conv"}
_NORMALISE = {"reduce", "scan", "window", "sort"}
_MOVE = {"reshape", "transpose", "broadcast", "slice", "pad", "concat", "gather", "scatter",
         "update_slice", "relayout", "compact", "iota", "constant", "convert", "bitcast", "dim"}


def class_of(kernel: dict) -> str:
    """By the ops in it: products before normalisation before element-wise before movement."""
    ops = set(re.findall(r"[a-z_]+(?=[ ,]|$)", re.sub(r" x\d+", "", kernel["ops"])))
    if ops & _PRODUCTS:
        return "products"
    if kernel.get("device", "cpu") != "cpu":
        return "other"
    if ops & _NORMALISE:
        return "normalisation"
    return "movement" if ops <= _MOVE else "element-wise"


def inspect(model: Path, threads: int, caches: Path, realtime: bool) -> dict:
    """The raw report. Raises RuntimeError with what the command said."""
    run = subprocess.run(
        with_class(realtime, str(COMMAND), "inspect", str(model / "model.onnx"), "--input",
                   str(model / "inputs.npz"), "--threads", str(threads), "--json"),
        capture_output=True, text=True, env=environment(caches), timeout=1800)
    if run.returncode:
        raise RuntimeError(run.stderr.strip().splitlines()[-1] if run.stderr.strip()
                           else f"exit code {run.returncode}")
    return json.loads(run.stdout)


def summarise(report: dict, limits: dict, boundary_bytes: int, top: int = 8) -> dict:
    """The parts of a report that results keep.

    The roofline of the model is the longer of its multiply-adds at the measured peak and
    of its weights, inputs and outputs at the measured bandwidth.
    """
    kernels = report["kernels"]
    flops = sum(max(k.get("flops", 0), 0) for k in kernels)
    moved = report["memory"]["weights"] + boundary_bytes
    peak, bandwidth = limits["f32_flops"], limits["read_bytes_per_second"]
    classes = dict.fromkeys(CLASSES, 0.0)
    for kernel in kernels:
        classes[class_of(kernel)] += kernel["seconds"]
    run = report["run_seconds"]
    between = max(0.0, run - sum(k["seconds"] for k in kernels))
    slowest = sorted(kernels, key=lambda k: -k["seconds"])[:top]
    return {
        "flops": flops, "bytes": moved, "roof_seconds": max(flops / peak, moved / bandwidth),
        "bound": "compute" if flops / peak > moved / bandwidth else "memory",
        "peak_flops": peak, "bandwidth": bandwidth, "run_seconds": run,
        "classes": classes, "between_kernels": between, "kernel_count": len(kernels),
        "arena_bytes": report["memory"]["arena"], "weight_bytes": report["memory"]["weights"],
        "passes_seconds": sum(report.get("passes", {}).values()),
        "remarks": sorted({r for k in kernels for r in k.get("remarks", [])})[:10],
        "kernels": [{"template": k["template"], "ops": k["ops"][:120], "nodes": k["nodes"][:120],
                     "launches": k["launches"], "seconds": k["seconds"],
                     "class": class_of(k), "of_roof": k.get("of_roof")} for k in slowest],
    }
