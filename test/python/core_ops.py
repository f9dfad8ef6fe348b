"""Writes single core ops as textual MLIR and runs them with limosa-ref."""

import os
import subprocess
from pathlib import Path

import numpy as np

SOURCE = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("LIMOSA_BUILD", SOURCE / "build"))
LIMOSA_REF = BUILD / "bin" / "limosa-ref"

NUMPY = {"i1": np.bool_, "f16": np.float16, "f32": np.float32, "f64": np.float64}
for bits in (8, 16, 32, 64):
    NUMPY[f"i{bits}"] = np.dtype(f"int{bits}").type
    NUMPY[f"ui{bits}"] = np.dtype(f"uint{bits}").type
# Types numpy has not are carried as bits.
BITS = {"bf16": np.uint16, "f8E4M3FN": np.uint8, "f8E5M2": np.uint8,
        "f8E4M3FNUZ": np.uint8, "f8E5M2FNUZ": np.uint8}


def mlir_type(dtype, shape):
    return "tensor<" + "".join(f"{d}x" for d in shape) + dtype + ">"


def element(array):
    return next(n for n, t in NUMPY.items() if array.dtype == t)


def attribute(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value} : i64"
    if isinstance(value, str):
        return value
    if value and isinstance(value[0], str):
        return "[" + ", ".join(f'"{v}"' for v in value) + "]"
    return "array<i64" + (": " if value else "") + ", ".join(map(str, value)) + ">"


def exprs(values):
    return [str(v) for v in values] if values else "[]"


class Case:
    """One function of one op. `inputs` are arrays or (bits, dtype) pairs, `results`
    (dtype, shape) pairs, `body` (if any) the text of the op's region."""

    def __init__(self, op, inputs, results, attrs=None, body="", tolerance=0.0, name=None):
        self.op, self.body, self.attrs = op, body, attrs or {}
        self.inputs = [i if isinstance(i, tuple) else (i, element(i)) for i in inputs]
        self.results, self.tolerance = results, tolerance
        self.name = name or op
        self.outputs = None
        self.error = ""

    def text(self):
        args = [mlir_type(t, a.shape) for a, t in self.inputs]
        outs = [mlir_type(t, s) for t, s in self.results]
        attrs = ", ".join(f"{k} = {attribute(v)}" for k, v in self.attrs.items())
        count = f":{len(outs)}" if len(outs) > 1 else ""
        names = ", ".join(f"%r#{i}" for i in range(len(outs))) if len(outs) > 1 else "%r"
        return (
            "func.func @main(" + ", ".join(f"%a{i}: {t}" for i, t in enumerate(args))
            + ") -> (" + ", ".join(outs) + ") {\n"
            + f"  %r{count} = limosa.{self.op} "
            + ", ".join(f"%a{i}" for i in range(len(args)))
            + f" {self.body} {{{attrs}}} : ({', '.join(args)}) -> ({', '.join(outs)})\n"
            + f"  return {names} : {', '.join(outs)}\n}}\n")


def combiner(op, dtypes, extra=""):
    """The region of reduce, scan and window that combines each value with `op`."""
    n = len(dtypes)
    args = [f"%acc{i}: tensor<{t}>" for i, t in enumerate(dtypes)]
    args += [f"%x{i}: tensor<{t}>" for i, t in enumerate(dtypes)]
    lines = [f"%y{i} = limosa.{op} %acc{i}, %x{i} : (tensor<{t}>, tensor<{t}>) -> tensor<{t}>"
             for i, t in enumerate(dtypes)]
    yields = ", ".join(f"%y{i}" for i in range(n))
    types = ", ".join(f"tensor<{t}>" for t in dtypes)
    return "{\n^bb0(" + ", ".join(args) + "):\n" + "\n".join(lines) + \
        f"\nlimosa.yield {yields} : {types}\n}}"


def run(cases, folder):
    """Runs all cases in one process; sets their outputs or error."""
    files = []
    for number, case in enumerate(cases):
        stem = folder / f"case{number}"
        stem.with_suffix(".mlir").write_text(case.text())
        for i, (array, _) in enumerate(case.inputs):
            np.save(f"{stem}.in{i}.npy", np.ascontiguousarray(array).reshape(array.shape))
        files.append(f"{stem}.mlir")
    process = subprocess.run([LIMOSA_REF, *files], capture_output=True, text=True, check=False)
    for number, case in enumerate(cases):
        stem = folder / f"case{number}"
        case.error = "\n".join(
            line for line in process.stderr.splitlines() if f"case{number}.mlir" in line)
        if not case.error:
            case.outputs = [np.load(f"{stem}.out{i}.npy") for i in range(len(case.results))]
