"""The second Python environment, for timm: made on first use in the cache.

It is 5.5 GB, for torchvision's torch comes with its CUDA libraries, so it is
shared by all clones and made only when a model of timm has to be exported.
LIMOSA_TIMM_VENV names another one; LIMOSA_TIMM_VENV=none refuses it.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from .registry import Unavailable, cache_root

_REQUIREMENTS = Path(__file__).resolve().parents[3] / "scripts" / "requirements-timm.txt"


def timm_python() -> Path:
    """The interpreter of timm's environment. Raises Unavailable."""
    chosen = os.environ.get("LIMOSA_TIMM_VENV")
    if chosen == "none":
        raise Unavailable("timm's environment is switched off by LIMOSA_TIMM_VENV=none")
    venv = Path(chosen) if chosen else cache_root().parent / "venv-timm"
    python = venv / "bin" / "python"
    ready = venv / ".limosa-ready"
    if chosen or ready.exists():
        if not python.exists():
            raise Unavailable(f"no Python at {python}")
        return python
    venv.parent.mkdir(parents=True, exist_ok=True)
    with open(venv.parent / "venv-timm.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            print("making the Python environment for timm (5.5 GB, once)", file=sys.stderr)
            try:
                subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
                subprocess.run([str(python), "-m", "pip", "install", "-q",
                                "--disable-pip-version-check", "-r", str(_REQUIREMENTS)],
                               check=True)
            except subprocess.CalledProcessError as error:
                raise Unavailable(f"timm could not be installed: {error}") from error
            ready.touch()
    return python
