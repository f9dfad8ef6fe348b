"""Engines take turns, round by round, and are compared by the ratios of each round.

What else happens on the machine then hits them alike. An interval is where eight
rounds of ten lie; where it holds 1, the rounds do not agree on who is faster.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Callable, Sequence

import numpy as np

PAUSE = 0.1  # seconds until threads of the engine before, that spin for more work, sleep
WARM_UPS = 3


@dataclass
class Times:
    all: list[float] = field(default_factory=list)
    medians: list[float] = field(default_factory=list)  # of each round

    def summary(self) -> dict:
        best, median, p90 = np.quantile(self.all, [0, 0.5, 0.9])
        return {"median": float(median), "best": float(best), "p90": float(p90),
                "runs": len(self.all), "round_medians": [float(m) for m in self.medians]}


Run = Callable[[int], Sequence[float]]


def interleave(engines: dict[str, Run], rounds: int, seconds: float,
               pause: float = PAUSE) -> tuple[dict[str, Times], dict[str, str]]:
    """Times of each engine, `seconds` being its share over all rounds.

    An engine that fails leaves the race; the second result says why.
    """
    times = {name: Times() for name in engines}
    counts: dict[str, int] = {}
    failures: dict[str, str] = {}

    def attempt(name: str, count: int) -> Sequence[float]:
        try:
            return engines[name](count)
        except (RuntimeError, OSError) as error:
            failures[name] = str(error) or type(error).__name__
            return []

    for name in engines:
        if warm := attempt(name, WARM_UPS):
            counts[name] = int(np.clip(seconds / rounds / max(min(warm), 1e-7), 1, 100000))
    names = list(engines)
    for number in range(rounds):
        # Another one begins each time, and the order turns: nobody always follows the same.
        first = number % len(names)
        order = names[first:] + names[:first]
        for name in reversed(order) if number % 2 else order:
            if name in failures:
                continue
            time.sleep(pause)
            if taken := attempt(name, counts[name]):
                times[name].all += taken
                times[name].medians.append(float(np.median(taken)))
    return {name: t for name, t in times.items() if name not in failures}, failures


def ratio(own: dict, peer: dict) -> dict:
    """How many times longer a peer takes: the median of the rounds' ratios, and their interval.

    Not the ratio of the medians over all rounds: load that comes and goes would be in it.
    """
    rounds = [p / o for o, p in zip(own["round_medians"], peer["round_medians"])]
    low, middle, high = np.quantile(rounds, [0.1, 0.5, 0.9])
    return {"ratio": float(middle), "low": float(low), "high": float(high)}


def difference(own: dict, other: dict) -> float:
    """The largest difference of any output, relative to that output's largest value."""
    worst = 0.0
    for name, value in own.items():
        if name not in other or other[name].shape != value.shape:
            return float("inf")
        if not value.size:
            continue
        apart = np.abs(value.astype(np.float64) - other[name].astype(np.float64))
        if not np.isfinite(apart).all():
            return float("inf")
        worst = max(worst, float(apart.max()) / max(float(np.abs(other[name]).max()), 1e-30))
    return worst
