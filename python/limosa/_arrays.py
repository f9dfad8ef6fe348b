"""Arrays of element types that NumPy has no name for."""

from __future__ import annotations

import numpy as np


def has_no_numpy_type(dtype: str) -> bool:
    """Whether only ml_dtypes has the type. Those of four bits take a byte each there."""
    return dtype.startswith(("bfloat", "float8", "float4", "int4", "uint4"))


def as_named_type(array: np.ndarray, dtype: str) -> np.ndarray:
    """Bits that came as unsigned integers as what they are, where ml_dtypes is there."""
    if array.dtype.name == dtype or not has_no_numpy_type(dtype):
        return array
    try:
        import ml_dtypes
    except ImportError:
        return array
    return array.view(getattr(ml_dtypes, dtype))
