"""What a model of the suite is, where it is cached, and how it is found.

A model is declared with `@model(...)` on the function that writes it. The
function gets the path of the .onnx file to write. Raise `version` when the
exporter changes what it writes: the version is part of the cached path.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Mapping, Sequence

import numpy as np


class Unavailable(RuntimeError):
    """The model can't be made here; the message says what is missing."""


@dataclass(frozen=True)
class Input:
    """How to draw values for one input; `shape` mixes numbers and size names.

    A size may be an expression over names, such as "past + seq".
    """

    dtype: str
    shape: tuple
    low: float = -1.0
    high: float = 1.0
    kind: str = "normal"  # normal | uniform | integers | ones | mask | page

    def draw(self, rng: np.random.Generator, sizes: Mapping[str, int]) -> np.ndarray:
        shape = tuple(
            d if isinstance(d, int) else int(eval(d, {"__builtins__": {}}, dict(sizes)))
            for d in self.shape
        )
        if self.kind == "integers":
            return rng.integers(int(self.low), int(self.high), shape).astype(self.dtype)
        if self.kind == "uniform":
            return rng.uniform(self.low, self.high, shape).astype(self.dtype)
        if self.kind == "ones":
            return np.ones(shape, self.dtype)
        if self.kind == "mask":  # ones, with a padded tail on the last row
            value = np.ones(shape, self.dtype)
            value[-1, shape[-1] - shape[-1] // 4 :] = 0
            return value
        if self.kind == "page":
            return np.stack([_page(rng, *shape[2:]) for _ in range(shape[0])]).astype(self.dtype)
        return rng.standard_normal(shape).astype(self.dtype)


def _page(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A picture [3, height, width] in -1..1 of dark lines of text on a light page."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", (width, height), tuple(rng.integers(200, 256, 3).tolist()))
    pen = ImageDraw.Draw(picture)
    for top in range(8, height - 30, 48):
        letters = "".join(map(chr, rng.integers(ord("a"), ord("z") + 1, 12)))
        pen.text((10, top), letters, fill=tuple(rng.integers(0, 80, 3).tolist()),
                 font=ImageFont.load_default(size=24))
    return np.asarray(picture, np.float32).transpose(2, 0, 1) / 127.5 - 1


@dataclass(frozen=True)
class Model:
    name: str
    write: Callable[[Path], None]
    inputs: Mapping[str, Input]
    sizes: Sequence[Mapping[str, int]]
    tier: str = "full"  # small: part of every run; full: the judged models
    version: int = 1
    tags: tuple = field(default=())

    @property
    def path(self) -> Path:
        return cache_root() / f"{self.name}-v{self.version}" / "model.onnx"

    def export(self) -> Path:
        """Returns the cached file, writing it first when there is none."""
        if self.path.exists():
            return self.path
        cache_root().mkdir(parents=True, exist_ok=True)
        # Written aside and renamed whole: several processes may export at once.
        aside = Path(tempfile.mkdtemp(prefix=f".{self.name}-", dir=cache_root()))
        try:
            self.write(aside / "model.onnx")
            try:
                os.rename(aside, self.path.parent)
            except OSError:
                if not self.path.exists():
                    raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return self.path

    def feeds(self, sizes: Mapping[str, int], seed: int = 0) -> dict:
        rng = np.random.default_rng(seed)
        return {name: spec.draw(rng, sizes) for name, spec in self.inputs.items()}


_MODELS: dict[str, Model] = {}


def cache_root() -> Path:
    """$LIMOSA_MODEL_CACHE, or limosa-dev/models in the user's cache folder."""
    if path := os.environ.get("LIMOSA_MODEL_CACHE"):
        return Path(path)
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "limosa-dev" / "models"


def model(name: str, inputs, sizes, **options):
    """Declares a model of the suite; decorates the function that writes it."""

    def register(write):
        assert name not in _MODELS, name
        _MODELS[name] = Model(name, write, inputs, sizes, **options)
        return write

    return register


def all_models() -> list[Model]:
    from . import packaged, small, timm_models, torch_models, transformer_models  # noqa: F401

    return list(_MODELS.values())


def names(tier: str | None = None) -> list[str]:
    return [m.name for m in all_models() if tier in (None, m.tier)]


def get(name: str) -> Model:
    """The model called `name`, exported. Raises KeyError or Unavailable."""
    all_models()
    found = _MODELS[name]
    found.export()
    return found
