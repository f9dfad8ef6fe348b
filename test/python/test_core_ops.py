"""Every core op has its spec sentence and its verifier in the ODS records."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2]


def records():
    tool = shutil.which("llvm-tblgen-22") or shutil.which("llvm-tblgen")
    config = shutil.which("llvm-config-22") or shutil.which("llvm-config")
    if not tool or not config:
        pytest.skip("llvm-tblgen is not installed")
    include = subprocess.check_output([config, "--includedir"], text=True).strip()
    text = subprocess.check_output(
        [tool, "--dump-json", f"-I{include}", f"-I{SOURCE}/include",
         SOURCE / "include" / "limosa" / "IR" / "LimosaOps.td"], text=True)
    return json.loads(text)


def test_core_ops_are_specified():
    data = records()
    core = []
    for name in data["!instanceof"]["Op"]:
        op = data[name]
        traits = {t["def"] for t in op["traits"]}
        if any(data[t].get("cppInterfaceName") == "CoreOp" for t in traits):
            core.append(name)
            assert op["summary"], name
            assert len(op["description"].strip()) > 20, f"{name} has no spec sentence"
            same_type = any("SameElementType" in t or "SameShape" in t for t in traits)
            assert op["hasVerifier"] or same_type, f"{name} has no verifier"
    assert 40 < len(core) <= 50
