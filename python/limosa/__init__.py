"""Limosa compiles models and runs them on any chip.

    import limosa
    model = limosa.load("model.onnx")
    print(model.inputs)                       # names, shapes, dtypes
    results = model.run({"x": array})         # {"y": array}
"""

from __future__ import annotations

import contextlib
import os
from typing import Any, Iterator, Mapping, Optional, Sequence, Union

import numpy as np

from . import _limosa
from ._arrays import as_named_type, has_no_numpy_type
from ._limosa import Error, Value
from .operators import (Dim, TensorType, custom_op, register_operator, registered,
                        unregister_operator)

__all__ = ["Dim", "Error", "Model", "TensorType", "Value", "__version__", "compile", "custom_op",
           "devices", "load", "register_operator", "unregister_operator"]
__version__: str = _limosa.__version__

_COMPILED_MARK = b"LIMOSA\r\n"


class Model:
    """A model that is ready to run. May be used from several threads."""

    def __init__(self, handle: "_limosa.Model") -> None:
        self._handle = handle
        self._names: dict[int, tuple[list[Value], list[Value]]] = {}

    def _values(self, entry: int) -> tuple[list[Value], list[Value]]:
        if entry not in self._names:
            self._names[entry] = (self._handle.values(entry, True),
                                  self._handle.values(entry, False))
        return self._names[entry]

    @property
    def inputs(self) -> list[Value]:
        """What the first entry takes: `name`, `shape` (texts for symbolic sizes), `dtype`."""
        return self._values(0)[0]

    @property
    def outputs(self) -> list[Value]:
        """What the first entry gives."""
        return self._values(0)[1]

    @property
    def entries(self) -> list[str]:
        """Names of the functions that `run` can be told to run."""
        return self._handle.entries()

    @property
    def from_cache(self) -> bool:
        """Whether the model had been compiled before."""
        return self._handle.from_cache

    @property
    def threads(self) -> int:
        """Number of worker threads."""
        return self._handle.threads

    def run(self, inputs: Mapping[str, Any], entry: Optional[str] = None) -> dict[str, np.ndarray]:
        """Runs the model on arrays by name and returns its outputs by name.

        NumPy arrays and whatever speaks DLPack (torch tensors on the CPU) are
        read in place when they are contiguous and of the right dtype; lists and
        numbers are converted. The results own the memory the model wrote to.
        Strings come as arrays of str or bytes of any kind and go as arrays of
        objects (str; bytes that are no UTF-8 as "surrogateescape" decodes them).
        """
        index = self._handle.entry(entry)
        takes, gives = self._values(index)
        missing = [value.name for value in takes if value.name not in inputs]
        unknown = [name for name in inputs if name not in {v.name for v in takes}]
        if missing or unknown:
            raise ValueError(
                f"the model takes {[value.name for value in takes]}; "
                f"missing: {missing}, unknown: {unknown}")
        arrays = [_as_array(inputs[value.name], value) for value in takes]
        results = self._handle.run(index, arrays)
        return {value.name: as_named_type(result, value.dtype)
                for value, result in zip(gives, results)}

    @contextlib.contextmanager
    def profile(self, path: Union[str, os.PathLike]) -> Iterator[None]:
        """Records runs in the block and writes a trace for Perfetto to `path`."""
        self._handle.start_profile()
        try:
            yield
        finally:
            self._handle.stop_profile(os.fspath(path))

    def __repr__(self) -> str:
        return f"<limosa.Model {self.inputs} -> {self.outputs}>"


def _as_strings(given: Any, value: Value) -> tuple[tuple[int, ...], list[Any]]:
    """Shape and elements of an array of strings."""
    array = given if isinstance(given, np.ndarray) else np.asarray(given, object)
    if array.dtype.kind not in "USOT" and array.size:
        raise TypeError(f"input '{value.name}' takes strings, "
                        f"but the array is of {array.dtype.name}")
    return array.shape, array.reshape(-1).tolist()


def _as_array(given: Any, value: Value) -> Any:
    if value.dtype == "string":
        return _as_strings(given, value)
    if isinstance(given, np.ndarray) and given.dtype.kind in "USOT":
        raise TypeError(f"input '{value.name}' takes {value.dtype}, "
                        f"but the array is of {given.dtype.name}")
    if isinstance(given, np.ndarray):
        return _as_plain_type(given, value)
    if hasattr(given, "__dlpack__"):
        detach = getattr(given, "detach", None)  # a torch tensor that has a gradient
        return detach() if detach else given
    return np.asarray(given, value.dtype)


def _as_plain_type(array: np.ndarray, value: Value) -> np.ndarray:
    """Arrays of ml_dtypes as unsigned integers of their size: all that NumPy exports."""
    if array.dtype.isbuiltin == 1:
        return array
    if not array.dtype.isnative:
        return array.astype(array.dtype.newbyteorder("="))
    if array.dtype.name != value.dtype or not has_no_numpy_type(value.dtype):
        raise TypeError(f"input '{value.name}' takes {value.dtype}, "
                        f"but the array is of {array.dtype.name}")
    return array.view(f"uint{8 * array.dtype.itemsize}")


def _is_compiled(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(len(_COMPILED_MARK)) == _COMPILED_MARK


def load(path: Union[str, os.PathLike], device: str = "cpu", threads: Optional[int] = None, *,
         isa: str = "auto", precision: str = "f32", memory: str = "fast",
         tune: bool = False, plugins: Sequence[Union[str, os.PathLike]] = (),
         flags: Optional[Mapping[str, Any]] = None,
         operators: Sequence[Union[str, os.PathLike]] = ()) -> Model:
    """Loads an .onnx model (compiled once, then cached) or a compiled .lim file.

    `threads` None means as many as the process may use processors. `precision`
    "bf16" stores weights and values between kernels as bf16; `memory` "small" does
    nothing that is faster for more memory; `tune` times kernels in several ways and
    takes the fastest (flags={"tune.batch": 4} tells open sizes). `plugins` are shared libraries of
    further devices, `operators` of operators, besides those that were registered
    (custom_op). Raises FileNotFoundError, ValueError,
    NotImplementedError (with all operators the compiler can't do), or Error.
    """
    path = os.fspath(path)
    return Model(_limosa.load(path, device, threads or 0, isa, [os.fspath(p) for p in plugins],
                              _flag_list(flags, precision, memory, tune), registered(),
                              [os.fspath(o) for o in operators], _is_compiled(path)))


def compile(path: Union[str, os.PathLike], output: Union[str, os.PathLike], device: str = "cpu",
            threads: Optional[int] = None, *, isa: str = "auto", precision: str = "f32",
            memory: str = "fast", tune: bool = False, emit: str = "lim",
            plugins: Sequence[Union[str, os.PathLike]] = (),
            flags: Optional[Mapping[str, Any]] = None,
            operators: Sequence[Union[str, os.PathLike]] = ()) -> None:
    """Compiles a model to a file: `emit` "lim", or "obj" to link it. See `load`."""
    _limosa.compile(os.fspath(path), os.fspath(output), device, threads or 0, isa,
                    [os.fspath(p) for p in plugins], _flag_list(flags, precision, memory, tune),
                    registered(), [os.fspath(o) for o in operators], emit)


def devices(plugins: Sequence[Union[str, os.PathLike]] = ()) -> dict[str, str]:
    """The devices models can run on: name and description."""
    return dict(_limosa.devices([os.fspath(p) for p in plugins]))


def _flag_list(flags: Optional[Mapping[str, Any]], precision: str, memory: str,
               tune: bool) -> list[str]:
    chosen = {"precision": precision, "memory": memory, "tune": "on" if tune else "off"}
    defaults = {"precision": "f32", "memory": "fast", "tune": "off"}
    given = {**(flags or {}), **{key: value for key, value in chosen.items() if value != defaults[key]}}
    return [f"{key}={value}" for key, value in given.items()]
