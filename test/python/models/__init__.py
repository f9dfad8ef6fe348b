"""The model suite: real networks exported to ONNX, cached outside the clone.

`get(name)` exports a model when it is not in the cache and returns it with the
generators of its inputs; `python -m models list` prints what there is.
"""

from .registry import Model, all_models, cache_root, get, names  # noqa: F401
