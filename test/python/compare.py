"""How results are compared: the largest difference against the largest value."""

import numpy as np

TOLERANCE = 1e-4


def assert_same(got: dict, expected: dict, tolerance: float = TOLERANCE) -> None:
    """Compares outputs by name. Integers and booleans have to be equal."""
    assert list(got) == list(expected)
    for name, want in expected.items():
        have = got[name]
        assert have.shape == want.shape, f"{name}: {have.shape}, not {want.shape}"
        assert have.dtype == want.dtype, f"{name}: {have.dtype}, not {want.dtype}"
        if want.size == 0:
            continue
        if want.dtype.kind not in "fV":
            assert np.array_equal(have, want), f"{name}: integers differ"
            continue
        have, want = have.astype(np.float64), want.astype(np.float64)
        assert np.array_equal(np.isfinite(have), np.isfinite(want)), f"{name}: NaN or inf"
        finite = np.isfinite(want)
        if not finite.any():
            continue
        apart = np.abs(have - want)[finite].max()
        scale = np.abs(want)[finite].max()
        assert apart <= tolerance * scale, f"{name}: off by {apart:.3g}, largest value {scale:.3g}"
