"""Engines in helper processes (python/limosa/bench_peers.py), one for each."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from .harness import ROOT

ENGINES = ("limosa", "onnxruntime", "openvino", "torch", "jax")
# Who computes in a precision: the others have no mode for bf16 on a CPU that is worth racing.
PRECISIONS = {"f32": ENGINES, "bf16": ("limosa", "openvino", "torch")}
# Runs beside the engines where the precision is not f32: what is gained over it, and lost.
OWN_F32 = "limosa-f32"
HELPER = ROOT / "python" / "limosa" / "bench_peers.py"


class EngineError(RuntimeError):
    """The engine can't run the model, or took too long; the message says which."""


def environment(caches: Path) -> dict[str, str]:
    """For a helper: Limosa from the build, and compile caches of its own."""
    python_path = [str(ROOT / "build" / "python"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "LIMOSA_CACHE_DIR": str(caches / "limosa"),
            "TORCHINDUCTOR_CACHE_DIR": str(caches / "inductor"), "TMPDIR": str(caches),
            "PYTHONPATH": os.pathsep.join(filter(None, python_path))}


class Engine:
    """A running engine that has run the model once. Ends with `close`."""

    def __init__(self, name: str, model: Path, threads: int, caches: Path,
                 torch_module: str = "", timeout: float = 900, precision: str = "f32"):
        self.name = name
        peer = "limosa" if name == OWN_F32 else name
        self.output_path = caches / f"{name}.npz"
        self.log = open(caches / f"{name}.log", "a+")
        command = [sys.executable, str(HELPER), "--peer", peer, "--model",
                   str(model / "model.onnx"), "--threads", str(threads), "--inputs",
                   str(model / "inputs.npz"), "--outputs", str(self.output_path),
                   "--precision", "f32" if name == OWN_F32 else precision]
        if torch_module and name == "torch":
            command += ["--torch-module", torch_module]
        # A group of its own: torch's compile workers have to end with it.
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
            env=environment(caches), start_new_session=True)
        self.pending = b""
        try:
            ready = self._receive(timeout)
        except EngineError:
            self.close()
            raise
        self.version: str = ready["version"]
        self.settings: dict = ready["settings"]
        self.ready_seconds: float = ready["ready_seconds"]
        self.base_bytes: int = ready["base_bytes"]
        self.peak_bytes = 0

    def run(self, count: int, timeout: float = 600) -> list[float]:
        """Seconds of each of `count` runs."""
        self.process.stdin.write(f"run {count}\n".encode())
        self.process.stdin.flush()
        answer = self._receive(timeout)
        self.peak_bytes = answer["peak_bytes"]
        return answer["seconds"]

    def outputs(self):
        """The arrays of the first run, by name."""
        import numpy as np

        with np.load(self.output_path) as file:
            return {name: file[name] for name in file.files}

    def close(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process.stdout.close()
        self.log.close()

    def _receive(self, timeout: float) -> dict:
        """The next answer; what libraries print on standard output is skipped."""
        end = time.monotonic() + timeout
        while True:
            line = self._line(end, timeout)
            if line.startswith(b'{"limosa":'):
                answer = json.loads(line)
                if "error" in answer:
                    raise EngineError(answer["error"])
                return answer

    def _line(self, end: float, timeout: float) -> bytes:
        while b"\n" not in self.pending:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise EngineError(f"no answer in {timeout:.0f} s")
            part = os.read(self.process.stdout.fileno(), 1 << 16)
            if not part:
                raise EngineError(f"ended without an answer; {self._last_words()}")
            self.pending += part
        line, _, self.pending = self.pending.partition(b"\n")
        return line

    def _last_words(self) -> str:
        self.log.seek(0)
        lines = self.log.read().strip().splitlines()
        return lines[-1][:300] if lines else "it said nothing"
