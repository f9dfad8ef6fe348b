"""What the results were measured on: the processor, its limits, and the build."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import re
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from .harness import ROOT

COMMAND = ROOT / "build" / "bin" / "limosa"


def _cpuinfo() -> dict[str, str]:
    try:
        text = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:
        return {}
    return {k.strip(): v.strip() for k, v in
            (line.split(":", 1) for line in text.splitlines() if ":" in line)}


def name() -> str:
    """A folder's name for this kind of machine, such as "intel-xeon-processor-m167-2cpu"."""
    cpu = _cpuinfo()
    words = cpu.get("model name", platform.machine())
    words = re.sub(r"\((r|tm)\)|@.*", " ", words.lower())
    parts = [*re.findall(r"[a-z0-9]+", words)]
    if "model" in cpu:
        parts.append("m" + cpu["model"])
    return "-".join([*parts, f"{len(os.sched_getaffinity(0))}cpu"])


def build() -> str:
    """A hash of the compiler and the runtime: results of another build are not resumed."""
    digest = hashlib.sha256()
    for library in ("libLimosaCompiler.so", "liblimosa.so"):
        found = sorted((ROOT / "build").glob(f"**/{library}"))
        if not found:
            raise FileNotFoundError(f"{library} is not built; run scripts/build.sh")
        digest.update(found[0].read_bytes())
    return digest.hexdigest()[:12]


@contextmanager
def alone(lock: str) -> Iterator[None]:
    """Waits for a file's lock: on a machine that others use, they can hold off."""
    if not lock:
        yield
        return
    with open(lock, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make_realtime(process: int) -> None:
    """Puts all threads of a process into the real-time class; raises PermissionError.

    On a machine that others load, priorities are not enough: where no processor is
    idle, ordinary threads that work together are often put on the same one.
    """
    for thread in os.listdir(f"/proc/{process}/task"):
        os.sched_setscheduler(int(thread), os.SCHED_RR, os.sched_param(1))


def with_class(realtime: bool, *command: str) -> list[str]:
    """A command line that runs in the real-time class, if wanted."""
    return ["chrt", "--rr", "1", *command] if realtime else list(command)


def limits(realtime: bool) -> dict:
    """Peak and bandwidth as `limosa bench` measures them, by number of threads."""
    run = subprocess.run(with_class(realtime, str(COMMAND), "bench", "--json"),
                         capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(run.stderr.strip())
    return json.loads(run.stdout)


def facts(note: str, realtime: bool = False) -> dict:
    cpu = _cpuinfo()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    wanted = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
    flags = cpu.get("flags", "").split()
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"],
                            capture_output=True, text=True).stdout.strip()
    return {"name": name(), "processor": cpu.get("model name", platform.processor()),
            "processors": len(os.sched_getaffinity(0)), "cache": cpu.get("cache size", ""),
            "features": [f for f in wanted if f in flags], "memory_bytes": memory,
            "system": f"{platform.system()} {platform.release()}", "commit": commit,
            "note": note, **limits(realtime)}
