"""Arrays of element types that NumPy has no name for."""

from __future__ import annotations

from typing import Any

import numpy as np


def has_no_numpy_type(dtype: str) -> bool:
    """Whether only ml_dtypes has the type. Those of four bits take a byte each there."""
    return dtype.startswith(("bfloat", "float8", "float4", "int4", "uint4"))


def as_named_type(array: Any, dtype: str) -> np.ndarray:
    """What came of the module as an array of its type: strings from shape and list, and,
    where ml_dtypes is there, other types from bits that came as unsigned integers."""
    if dtype == "string":
        shape, items = array
        strings = np.empty(shape, object)
        strings.reshape(-1)[:] = items
        return strings
    if array.dtype.name == dtype or not has_no_numpy_type(dtype):
        return array
    try:
        import ml_dtypes
    except ImportError:
        return array
    return array.view(getattr(ml_dtypes, dtype))
