"""The tensors that random_onnx.py has made so far, and random values for new ones."""

import numpy as np

FLOATS = ("float32", "float64", "float16")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


class Pool:
    """The tensors of a graph so far, with the values that they have on the first feed."""

    def __init__(self, rng, opset):
        self.opset = opset
        self.rng, self.values, self.constants, self.count = rng, {}, {}, 0

    def name(self):
        self.count += 1
        return f"t{self.count}"

    def constant(self, array):
        name = self.name()
        self.constants[name] = np.asarray(array)
        return name

    def ints(self, *values):
        return self.constant(np.array(values, np.int64))

    def pick(self, kinds=FLOATS[:1], rank=None, least=0, size=20000):
        """A tensor of one of the types; `rank` is a number or (least, most)."""
        low, high = rank if isinstance(rank, tuple) else (rank, rank) if rank is not None else (least, 6)
        fits = [n for n, a in self.values.items()
                if a.dtype.name in kinds and low <= a.ndim <= high and a.size <= size]
        # Late tensors more often: graphs become deep.
        return self.rng.choice(fits[-4:] if self.rng.random() < 0.6 else fits) if fits else None

    def shape(self, name):
        return self.values[name].shape

    def axis(self, name):
        rank = len(self.shape(name))
        axis = self.rng.randrange(rank)
        return axis - rank if self.rng.random() < 0.3 else axis

    def axes(self, name):
        rank = len(self.shape(name))
        chosen = self.rng.sample(range(rank), self.rng.randint(1, rank))
        return [a - rank if self.rng.random() < 0.2 else a for a in sorted(chosen)]

    def like(self, name, shape=None):
        """A tensor that broadcasts with `name`: from the pool, or a constant."""
        value = self.values[name]
        fits = [n for n, a in self.values.items() if a.dtype == value.dtype and broadcasts(a.shape, value.shape)]
        if shape is None and fits and self.rng.random() < 0.6:
            return self.rng.choice(fits)
        if shape is None:
            shape = [1 if self.rng.random() < 0.4 else d for d in value.shape][self.rng.randint(0, value.ndim):]
        return self.constant(draw(self.rng, value.dtype, shape))


def broadcasts(a, b):
    return all(x == y or x == 1 or y == 1 for x, y in zip(a[::-1], b[::-1]))


def draw(rng, dtype, shape):
    source = np.random.default_rng(rng.randrange(1 << 30))
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return source.random(shape) < 0.5
    if dtype.kind in "iu":
        return source.integers(0 if dtype.kind == "u" else -9, 10, shape).astype(dtype)
    return source.standard_normal(shape).astype(dtype)
