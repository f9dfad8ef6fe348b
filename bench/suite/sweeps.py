"""Bare products and convolutions: layer shapes, odd sizes, small, tall and thin."""

from __future__ import annotations

from .case import Family, Input

# (rows, inner, columns); the second factor and the bias are weights.
PRODUCTS = {
    "square": [(1024, 1024, 1024), (512, 512, 512), (256, 256, 256), (2048, 2048, 2048)],
    "layer": [(128, 768, 768), (128, 768, 3072), (128, 3072, 768), (384, 1024, 4096),
              (197, 768, 2304), (384, 768, 768)],
    "odd": [(127, 129, 131), (257, 511, 509), (1000, 1000, 1000), (333, 777, 555),
            (97, 1023, 1025)],
    "small-m": [(1, 768, 3072), (1, 4096, 4096), (2, 1024, 4096), (4, 2048, 2048),
                (7, 1000, 3000), (16, 768, 768), (31, 1024, 1024)],
    "tall": [(100000, 16, 16), (50000, 64, 8), (20000, 27, 32), (8192, 100, 10)],
    "thin": [(16, 50000, 16), (64, 20000, 7), (8, 1024, 20000), (3, 100000, 5)],
}

# Both factors are inputs: (batch, rows, inner, columns).
PAIRS = [(12, 128, 64, 128), (12, 128, 128, 64), (16, 384, 64, 384), (3, 99, 77, 55)]

# (in, out, side, kernel, stride, groups)
CONVOLUTIONS = {
    "layer": [(64, 64, 56, 3, 1, 1), (128, 128, 28, 3, 1, 1), (256, 256, 14, 3, 1, 1),
              (512, 512, 7, 3, 1, 1), (64, 256, 56, 1, 1, 1), (1024, 256, 14, 1, 1, 1),
              (512, 2048, 7, 1, 1, 1), (256, 512, 56, 1, 2, 1), (3, 64, 224, 7, 2, 1)],
    "odd": [(24, 40, 57, 3, 1, 1), (17, 33, 61, 3, 1, 1), (72, 24, 56, 1, 1, 1),
            (40, 120, 29, 1, 1, 1), (50, 50, 45, 5, 1, 1), (3, 20, 193, 3, 2, 1),
            (1, 8, 200, 3, 1, 1)],
    "grouped": [(256, 256, 28, 3, 1, 32), (96, 96, 28, 3, 1, 4), (60, 60, 33, 3, 2, 5)],
    "depthwise": [(96, 96, 112, 3, 2, 96), (144, 144, 56, 3, 1, 144), (240, 240, 28, 5, 1, 240),
                  (672, 672, 14, 5, 2, 672), (96, 96, 56, 7, 1, 96), (50, 50, 61, 3, 1, 50)],
}


def _named(sizes) -> str:
    return "x".join(map(str, sizes))


def sweeps() -> list[Family]:
    made = []
    for kind, shapes in PRODUCTS.items():
        for rows, inner, columns in shapes:
            made.append(Family(f"product-{kind}-{_named((rows, inner, columns))}", "linear",
                               (Input("x", (rows, inner)),), dict(inner=inner, columns=columns),
                               (dict(),), ("product", kind), "sweep"))
    for sizes in PAIRS:
        batch, rows, inner, columns = sizes
        made.append(Family(f"pair-{_named(sizes)}", "pair",
                           (Input("x", (batch, rows, inner)), Input("y", (batch, inner, columns))),
                           {}, (dict(),), ("product", "pair"), "sweep"))
    for kind, shapes in CONVOLUTIONS.items():
        for sizes in shapes:
            channels, out, side, kernel, stride, groups = sizes
            made.append(Family(f"conv-{kind}-{_named(sizes)}", "convolution",
                               (Input("x", (1, channels, side, side)),),
                               dict(channels=channels, out=out, kernel=kernel, stride=stride,
                                    groups=groups), (dict(),), ("conv", kind), "sweep"))
    return made
