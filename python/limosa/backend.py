"""ONNX's standard backend (`onnx.backend.base`) over Limosa.

    import limosa.backend
    outputs = limosa.backend.prepare(onnx.load("model.onnx")).run([array])

`Backend` runs models on the processor, `ReferenceBackend` on the reference interpreter;
both can be given to `onnx.backend.test.BackendTest`.

Some models leave open what compiling needs: an axis or a size that is an input, how
many tensors a sequence holds, whether an optional is there. Such a model is compiled
when it runs, for the inputs it is given, and kept for others like them.
"""

from __future__ import annotations

import os
import re
import tempfile
from typing import Any, Optional, Sequence

import numpy as np
import onnx
from onnx.backend.base import Backend as _Backend
from onnx.backend.base import BackendRep as _BackendRep

import limosa

__all__ = ["Backend", "Prepared", "ReferenceBackend", "is_compatible", "prepare", "run_model",
           "run_node", "supports_device"]

# What the importer says when the value of an input is missing to it.
_WANTED = re.compile(r"compiling needs the value of ((?:input '[^']*'(?:, )?)+)")
# Elements that a sequence gave: all of a run of them where the star is.
_ELEMENT = re.compile(r"^(?P<name>.*)\[(?P<at>\d+)(?P<run>\*?)\]$", re.S)
_LARGE = 1 << 30
# The reference interpreter is a plug-in, which is built beside the module.
_REFERENCE = os.path.join(os.path.dirname(__file__), "liblimosa_reference.so")


class Prepared(_BackendRep):
    """A model that runs on arrays in the order of its inputs, or by name."""

    def __init__(self, model: onnx.ModelProto, device: str, threads: Optional[int] = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="limosa-backend-")
        self._path = os.path.join(self._folder.name, "model.onnx")
        onnx.save(model, self._path, save_as_external_data=model.ByteSize() > _LARGE)
        self._device, self._threads = device, threads
        constants = {tensor.name for tensor in model.graph.initializer}
        self._inputs = [value for value in model.graph.input if value.name not in constants]
        self._outputs = list(model.graph.output)
        self._wanted: set[str] = set()
        self._models: dict[tuple[tuple[str, str], ...], limosa.Model] = {}
        if not any(_is_open(value) for value in self._inputs):
            try:
                self._load(())
            except NotImplementedError as error:
                if not self._note_wanted(error):
                    raise

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Runs the model: a list of arrays (lists of arrays, None), or a dictionary."""
        if isinstance(inputs, dict):
            given = dict(inputs)
        else:
            inputs = inputs if isinstance(inputs, (list, tuple)) else [inputs]
            given = {value.name: array for value, array in zip(self._inputs, inputs)}
        model = self._load(self._specs(given))
        results = model.run(self._feeds(given))
        return tuple(_collect(value, results) for value in self._outputs)

    def _load(self, specs: tuple[tuple[str, str], ...]) -> limosa.Model:
        if specs not in self._models:
            flags = {f"input.{name}": text for name, text in specs}
            plugins = [_REFERENCE] if self._device == "reference" else []
            self._models[specs] = limosa.load(
                self._path, self._device, self._threads, flags=flags, plugins=plugins)
        return self._models[specs]

    def _note_wanted(self, error: Exception) -> bool:
        """Notes the inputs whose values are missing; whether there are new ones."""
        names = {name for group in _WANTED.findall(str(error))
                 for name in re.findall(r"input '([^']*)'", group)}
        new = names - self._wanted
        self._wanted |= new
        return bool(new)

    def _specs(self, given: dict[str, Any]) -> tuple[tuple[str, str], ...]:
        """What the compiler is told of the inputs, once it compiles."""
        while True:
            specs = tuple(
                (value.name, _spec(given.get(value.name), value.name in self._wanted))
                for value in self._inputs
                if _is_open(value) or value.name in self._wanted)
            try:
                self._load(specs)
                return specs
            except NotImplementedError as error:
                if not self._note_wanted(error):
                    raise

    def _feeds(self, given: dict[str, Any]) -> dict[str, Any]:
        feeds = {}
        for name, array in given.items():
            if isinstance(array, (list, tuple)):
                feeds.update({f"{name}[{at}]": _carried(item) for at, item in enumerate(array)})
            elif array is not None and name not in self._wanted:
                feeds[name] = _carried(array)
        return feeds


# Types that Limosa carries in a byte, by what NumPy calls them.
_CARRIERS = {"int2": np.int8, "uint2": np.uint8, "float8_e8m0fnu": np.uint8}


def _carried(given: Any) -> np.ndarray:
    """An input as Limosa takes it."""
    array = np.asarray(given)
    carrier = _CARRIERS.get(array.dtype.name)
    if carrier is None:
        return array
    return array.view(carrier) if "float" in array.dtype.name else array.astype(carrier)


def _uncarried(array: np.ndarray, declared: onnx.TypeProto) -> np.ndarray:
    """An output as the model declares it."""
    if not declared.tensor_type.elem_type:
        return array
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(declared.tensor_type.elem_type))
    if dtype.name not in _CARRIERS or array.dtype == dtype:
        return array
    return array.view(dtype) if "float" in dtype.name else array.astype(dtype)


def _is_open(value: onnx.ValueInfoProto) -> bool:
    """Whether the declaration of an input does not say what the compiler has to know."""
    if not value.type.HasField("tensor_type"):
        return True
    return not value.type.tensor_type.HasField("shape")


def _spec(given: Any, by_value: bool) -> str:
    """An input as the flag `input.<name>` of the compiler describes it."""
    def shape(array: Any) -> str:
        return "x".join(map(str, np.shape(array))) or "scalar"

    if given is None:
        return "none"
    if isinstance(given, (list, tuple)):
        return "[" + ";".join(map(shape, given)) + "]"
    if not by_value:
        return shape(given)
    elements = np.asarray(given)
    if elements.dtype == bool:
        elements = elements.astype(np.int64)
    return "{" + ",".join(repr(item) for item in elements.reshape(-1).tolist()) + "}"


def _collect(value: onnx.ValueInfoProto, results: dict[str, np.ndarray]) -> Any:
    """An output from the results: a tensor, a list of them, or nothing."""
    if value.name in results:
        return _uncarried(results[value.name], value.type)
    parts: list[Any] = []
    for name, array in results.items():
        match = _ELEMENT.match(name)
        if match and match["name"] == value.name:
            parts.append((int(match["at"]), list(array) if match["run"] else [array]))
    declared = value.type
    if declared.HasField("optional_type"):
        declared = declared.optional_type.elem_type
    if not parts and not declared.HasField("sequence_type"):
        return None
    return [item for _, items in sorted(parts, key=lambda part: part[0]) for item in items]


class Backend(_Backend):
    """Models compiled for this machine's processor."""

    executor = "cpu"

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return device.split(":")[0] == "CPU"

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> Prepared:
        if not cls.supports_device(device):
            raise ValueError(f"this backend runs on CPU, not on {device}")
        return Prepared(model, cls.executor, kwargs.get("threads"))

    @classmethod
    def run_node(cls, node: onnx.NodeProto, inputs: Sequence[Any], device: str = "CPU",
                 outputs_info: Any = None, **kwargs: Any) -> tuple[Any, ...]:
        """Runs one operator on arrays; `opset_version` chooses its meaning."""
        names = [name for name in node.input if name]
        arrays = dict(zip(names, map(np.asarray, inputs)))
        graph = onnx.helper.make_graph(
            [node], "node",
            [onnx.helper.make_tensor_value_info(
                name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
             for name, array in arrays.items()],
            [onnx.ValueInfoProto(name=name) for name in node.output if name])
        version = kwargs.get("opset_version", onnx.defs.onnx_opset_version())
        opsets = [onnx.helper.make_opsetid(node.domain, version)]
        if node.domain:
            opsets.append(onnx.helper.make_opsetid("", onnx.defs.onnx_opset_version()))
        model = onnx.helper.make_model(graph, opset_imports=opsets)
        return cls.prepare(model, device).run(arrays)


class ReferenceBackend(Backend):
    """Models on the reference interpreter."""

    executor = "reference"


prepare = Backend.prepare
run_model = Backend.run_model
run_node = Backend.run_node
is_compatible = Backend.is_compatible
supports_device = Backend.supports_device
