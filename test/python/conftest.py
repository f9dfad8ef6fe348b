"""Shared by all tests: the module from the build, and a compile cache of their own."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Before limosa is loaded: tests never see what an earlier build compiled.
_cache = tempfile.TemporaryDirectory(prefix="limosa-test-cache-")
os.environ["LIMOSA_CACHE_DIR"] = _cache.name
sys.path.insert(0, str(ROOT / "build" / "python"))


@pytest.fixture(scope="session")
def limosa():
    return pytest.importorskip("limosa", reason="the Python module is not built")


@pytest.fixture(scope="session")
def command():
    """Path of the command line tool."""
    path = ROOT / "build" / "bin" / "limosa"
    if not path.exists():
        pytest.skip("build/bin/limosa is not built")
    return path


@pytest.fixture(scope="session")
def limosa_command(command):
    """Runs the command line tool and checks its exit code."""

    def call(*arguments, code=0):
        run = subprocess.run([command, *map(str, arguments)], capture_output=True, text=True)
        assert run.returncode == code, run.stdout + run.stderr
        return run

    return call


@pytest.fixture(scope="session")
def model_file():
    """Exports models of the suite by name; skips where one can't be made."""
    from models import get
    from models.registry import Unavailable

    def find(name):
        try:
            return get(name).path
        except Unavailable as reason:
            pytest.skip(str(reason))

    return find


@pytest.fixture
def custom_op(limosa):
    """limosa.custom_op whose operators are gone after the test."""
    names = []

    def register(name, **options):
        names.append((name, options.get("version", 1)))
        return limosa.custom_op(name, **options)

    yield register
    for name, version in set(names):
        limosa.unregister_operator(name, version)
