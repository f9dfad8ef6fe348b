"""One record: a case measured with all engines at one number of threads."""

from __future__ import annotations

import datetime
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator

import numpy as np

from . import export, inspection
from .case import Case
from .engines import OWN_F32, PRECISIONS, Engine, EngineError
from .harness import ROOT
from .machine import alone, make_realtime
from .rounds import difference, interleave, ratio
from .store import TOLERANCE

TORCH_MODULE = ROOT / "bench" / "suite" / "torch_module.py"


@dataclass(frozen=True)
class Plan:
    """How to measure."""

    engines: tuple[str, ...]
    rounds: int = 15
    seconds: float = 5.0  # of each engine, over all rounds
    start_timeout: float = 900.0
    lock: str = ""  # a file that is locked while engines take turns
    realtime: bool = False  # scheduling of the engines while they take turns

    def starters(self, precision: str) -> tuple[str, ...]:
        """The engines of a race: those with a mode for the precision, and Limosa at f32."""
        can = tuple(e for e in self.engines if e in PRECISIONS[precision])
        return can if precision == "f32" else (*can, OWN_F32)


@contextmanager
def _caches() -> Iterator[Path]:
    """Empty compile caches, so that what is called cold is cold; removed at the end."""
    parent = export.cache_folder()
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob("run-*-*"):  # by runs that were killed
        if not Path("/proc", left.name.split("-")[1]).exists():
            shutil.rmtree(left, ignore_errors=True)
    path = Path(tempfile.mkdtemp(prefix=f"run-{os.getpid()}-", dir=parent))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def measure(case: Case, threads: int, precision: str, plan: Plan, build: str, limits: dict,
            say: Callable[[str], None]) -> dict:
    """Raises nothing about engines: what they could not do is part of the record."""
    say("exporting")
    model = export.export(case)
    record = {
        "case": case.name, "family": case.family.name, "group": case.family.group,
        "base": case.family.base, "tags": list(case.family.tags), "sizes": case.sizes,
        "threads": threads, "precision": precision, "model": export.key(case), "build": build,
        "time": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "rounds": plan.rounds, "seconds": plan.seconds, "realtime": plan.realtime, "engines": {}}
    with _caches() as caches:
        if "limosa" in plan.engines:
            _start_cold(case, model, threads, plan, caches, record, say)
        _race(case, model, threads, plan, caches, limits, record, say)
    compare(record)
    return record


def _start_cold(case: Case, model: Path, threads: int, plan: Plan, caches: Path, record: dict,
                say: Callable[[str], None]) -> None:
    """Compiles with an empty cache; the engine that races then starts from it."""
    say("compiling (limosa)")
    try:
        engine = Engine("limosa", model, threads, caches, timeout=plan.start_timeout,
                        precision=record["precision"])
    except EngineError as error:
        record["engines"]["limosa"] = {"error": str(error)}
        return
    engine.close()
    record["engines"]["limosa"] = {"cold_seconds": engine.ready_seconds}


def _race(case: Case, model: Path, threads: int, plan: Plan, caches: Path, limits: dict,
          record: dict, say: Callable[[str], None]) -> None:
    torch_module = f"{TORCH_MODULE}:{case.name}" if export.has_torch_module(case) else ""
    running: dict[str, Engine] = {}
    results = record["engines"]
    try:
        for name in plan.starters(record["precision"]):
            if "error" in results.get(name, {}):
                continue
            say(f"starting {name}")
            try:
                engine = Engine(name, model, threads, caches, torch_module, plan.start_timeout,
                                record["precision"])
            except EngineError as error:
                results[name] = {"error": str(error)}
                continue
            running[name] = engine
            facts = results.setdefault(name, {})
            facts.update(version=engine.version, settings=engine.settings)
            facts["cached_seconds" if "cold_seconds" in facts else "cold_seconds"] = (
                engine.ready_seconds)
        say("taking turns")
        with alone(plan.lock):
            for engine in running.values() if plan.realtime else ():
                make_realtime(engine.process.pid)
            record["load_before"] = round(os.getloadavg()[0], 2)
            times, failures = interleave({name: e.run for name, e in running.items()},
                                         plan.rounds, plan.seconds)
            if "limosa" in times and record["precision"] == "f32":
                _inspect(model, threads, plan, caches, limits, running["limosa"], record)
        for name, reason in failures.items():
            results[name]["error"] = reason
        for name, taken in times.items():
            results[name].update(taken.summary(), peak_bytes=running[name].peak_bytes,
                                 base_bytes=running[name].base_bytes)
        _compare_outputs({name: running[name].outputs for name in times}, record)
    finally:
        for engine in running.values():
            engine.close()


def _inspect(model: Path, threads: int, plan: Plan, caches: Path, limits: dict, own: Engine,
             record: dict) -> None:
    """Where Limosa's time goes; its file comes from the cache that its engine filled."""
    with np.load(model / "inputs.npz") as inputs:
        arrays = [*inputs.values(), *own.outputs().values()]
    try:
        report = inspection.inspect(model, threads, caches, plan.realtime)
        record["inspect"] = inspection.summarise(report, limits, sum(a.nbytes for a in arrays))
    except (RuntimeError, OSError, ValueError, subprocess.TimeoutExpired) as error:
        record["inspect_error"] = str(error)


def _compare_outputs(outputs: dict[str, Callable[[], dict]], record: dict) -> None:
    """Adds differences: f32 results have to agree with Limosa's, others are told from its f32."""
    narrow = record["precision"] != "f32"
    base = OWN_F32 if narrow else "limosa"
    if base not in outputs:
        return
    expected = outputs[base]()
    for name in outputs.keys() - {base}:
        apart = difference(outputs[name](), expected)
        record["engines"][name]["difference"] = apart
        if not narrow:
            record["engines"][name]["agrees"] = apart <= TOLERANCE


def compare(record: dict) -> None:
    """Adds the fastest peer and the ratios to a record with times."""
    engines = record["engines"]
    own = engines.get("limosa", {})
    if "median" in own and "median" in engines.get(OWN_F32, {}):
        record["over_f32"] = ratio(own, engines[OWN_F32])
    peers = {n: e for n, e in engines.items()
             if n not in ("limosa", OWN_F32) and "median" in e}
    if "median" not in own or not peers:
        return
    for entry in peers.values():
        entry.update(ratio(own, entry))
    fastest = min(peers, key=lambda n: peers[n]["ratio"])
    record.update(fastest=fastest, ratio=peers[fastest]["ratio"], low=peers[fastest]["low"],
                  high=peers[fastest]["high"])
