"""What follows from the records: verdicts, means, efficiencies."""

from __future__ import annotations

import math
from typing import Iterable

LIGHT = {"light", "recurrent"}


def compared(records: Iterable[dict]) -> list[dict]:
    """Those with a ratio, worst first."""
    return sorted((r for r in records if "ratio" in r), key=lambda r: r["ratio"])


def verdict(record: dict) -> str:
    """"faster" and "slower" only where eight rounds of ten agree."""
    if record["low"] > 1:
        return "faster"
    return "slower" if record["high"] < 1 else "same"


def mean(records: Iterable[dict]) -> float | None:
    """The geometric mean of the ratios."""
    logs = [math.log(r["ratio"]) for r in records if "ratio" in r]
    return math.exp(sum(logs) / len(logs)) if logs else None


def parts(records: list[dict]) -> list[tuple[str, list[dict]]]:
    """The sets of cases that get a score."""
    suite = [r for r in records if r["group"] == "suite"]
    return [("the suite", suite),
            ("its light and recurrent models", [r for r in suite if LIGHT & set(r["tags"])]),
            ("variants of the models", [r for r in records if r["group"] == "variant"]),
            ("bare products and convolutions", [r for r in records if r["group"] == "sweep"])]


def efficiency(record: dict) -> float | None:
    """The part of the roofline that Limosa reaches over the whole model."""
    own = record["engines"].get("limosa", {})
    if "inspect" not in record or "median" not in own:
        return None
    return record["inspect"]["roof_seconds"] / own["median"]


def against_base(record: dict, records: list[dict]) -> float | None:
    """A variant's efficiency over that of the case it was made from."""
    for base in records:
        if base["case"] == record["base"] and all(
                base[field] == record[field] for field in ("threads", "precision")):
            own, other = efficiency(record), efficiency(base)
            return own / other if own and other else None
    return None


def troubles(records: list[dict]) -> list[tuple[str, int, str, str]]:
    """Case, threads, engine and what is wrong: no result, or a different one."""
    found = []
    for record in records:
        for engine, entry in record["engines"].items():
            if "error" in entry:
                found.append((record["case"], record["threads"], engine, entry["error"]))
            elif not entry.get("agrees", True):
                found.append((record["case"], record["threads"], engine,
                              f"its outputs are {entry['difference']:.1e} of the largest value "
                              "apart from Limosa's"))
        if "inspect_error" in record:
            found.append((record["case"], record["threads"], "limosa inspect",
                          record["inspect_error"]))
    return found
