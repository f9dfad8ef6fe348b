"""Gives the torch peer the network behind a model file (bench_peers.py --torch-module)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def load(name: str):
    """The module of a case, the names of its inputs in order, and of its outputs."""
    from suite.export import output_names
    from suite.networks import build
    from suite.table import all_cases

    case = next(c for c in all_cases() if c.name == name)
    module = build(case.family.network, case.family.options)
    names = [i.name for i in case.family.inputs]
    return module, names, output_names(case)
