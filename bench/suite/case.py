"""What is measured: a network with options, the sizes of its inputs, and tags."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, replace
from typing import Mapping

import numpy as np


@dataclass(frozen=True)
class Input:
    """One input. A size in `shape` is a number or an expression over size names."""

    name: str
    shape: tuple
    dtype: str = "float32"
    below: int = 0  # integers: drawn from 0 to this, exclusive; 0: ones

    def dims(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        return tuple(d if isinstance(d, int)
                     else int(eval(d, {"__builtins__": {}}, dict(sizes))) for d in self.shape)

    def draw(self, rng: np.random.Generator, sizes: Mapping[str, int]) -> np.ndarray:
        dims = self.dims(sizes)
        if self.dtype == "float32":
            return rng.standard_normal(dims, np.float32)
        if self.below:
            return rng.integers(0, self.below, dims).astype(self.dtype)
        return np.ones(dims, self.dtype)


@dataclass(frozen=True)
class Family:
    """A network at one or more sizes. `network` is a name in `networks.NETWORKS`."""

    name: str
    network: str
    inputs: tuple[Input, ...]
    options: Mapping = field(default_factory=dict)
    sizes: tuple[Mapping[str, int], ...] = (dict(batch=1),)
    tags: tuple[str, ...] = ()
    group: str = "suite"  # suite | variant | sweep
    base: str = ""  # of a variant: the case that it was made from

    def cases(self) -> list["Case"]:
        return [Case(self, tuple(sizes.items())) for sizes in self.sizes]

    def but(self, **changes) -> "Family":
        return replace(self, **changes)


@dataclass(frozen=True)
class Case:
    """A family at one of its sizes: what one model file and one result stand for."""

    family: Family
    size_items: tuple

    @property
    def sizes(self) -> dict[str, int]:
        return dict(self.size_items)

    @property
    def name(self) -> str:
        """The family's name and its sizes: "bert-base-b1-s128"."""
        return "-".join([self.family.name, *(f"{name[0]}{size}" for name, size in self.size_items)])

    def definition(self) -> dict:
        """All that decides what the model computes, as JSON."""
        return {"network": self.family.network, "options": dict(self.family.options),
                "inputs": [[i.name, i.dtype, i.below, *i.dims(self.sizes)]
                           for i in self.family.inputs]}

    def feeds(self) -> dict[str, np.ndarray]:
        """The same arrays each time."""
        rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        return {i.name: i.draw(rng, self.sizes) for i in self.family.inputs}
