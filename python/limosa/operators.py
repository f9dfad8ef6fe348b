"""Operators of your own, written in Python. See docs/custom-operators.md.

    @limosa.custom_op("my.domain::Scale", shape=lambda x, *, factor: x)
    def scale(x, *, factor):
        return x * np.float32(factor)
"""

from __future__ import annotations

import atexit
import hashlib
import types
from typing import Any, Callable, NamedTuple, Optional, Sequence, Union

import numpy as np

from . import _limosa
from ._arrays import as_named_type, has_no_numpy_type

__all__ = ["Dim", "TensorType", "custom_op", "register_operator", "unregister_operator"]


class Dim:
    """A size that is not known before the model runs: an expression over its symbols."""

    def __init__(self, text: str) -> None:
        self.text = str(text)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Dim({self.text!r})"

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Dim) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __add__(self, other: Any) -> "Dim":
        return Dim(f"({self}) + ({other})")

    def __radd__(self, other: Any) -> "Dim":
        return Dim(f"({other}) + ({self})")

    def __sub__(self, other: Any) -> "Dim":
        return Dim(f"({self}) - ({other})")

    def __rsub__(self, other: Any) -> "Dim":
        return Dim(f"({other}) - ({self})")

    def __mul__(self, other: Any) -> "Dim":
        return Dim(f"({self}) * ({other})")

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> "Dim":
        return Dim(f"floordiv({self}, {other})")

    def __mod__(self, other: Any) -> "Dim":
        return Dim(f"mod({self}, {other})")

    @staticmethod
    def min(a: Any, b: Any) -> "Dim":
        return Dim(f"min({a}, {b})")

    @staticmethod
    def max(a: Any, b: Any) -> "Dim":
        return Dim(f"max({a}, {b})")


Size = Union[int, Dim, str]
#: A number of inputs or outputs, or (least, most).
Count = Union[int, tuple[int, Optional[int]]]


class TensorType(NamedTuple):
    """What is known of a tensor while a model is compiled.

    `shape` has a number or a Dim for each dimension; in the answer of a shape
    function also "?": a size that only the kernel knows. `value` is an input's
    value if it is a constant of the model; `elements` those of a small tensor of
    integers that the compiler can follow, such as a shape.
    """

    dtype: str
    shape: tuple[Size, ...]
    value: Optional[np.ndarray] = None
    elements: Optional[tuple[Size, ...]] = None


_operators: dict[tuple[str, int], "_limosa.Operator"] = {}
atexit.register(_operators.clear)


def registered() -> list["_limosa.Operator"]:
    """What models that are loaded from now on may hold."""
    return list(_operators.values())


def register_operator(name: str, *, kernel: Optional[Callable[..., Any]] = None,
                      shape: Optional[Callable[..., Any]] = None,
                      body: Optional[Callable[..., Any]] = None, version: int = 1,
                      stateful: bool = False, prefer_kernel: bool = False,
                      revision: str = "", body_opset: int = 0,
                      inputs: Optional[Count] = None, outputs: Optional[Count] = None) -> None:
    """Makes operator "domain::Op" known to the models that are loaded from now on.

    `kernel` gets the inputs as arrays (None: not given) and the node's attributes
    by keyword, and returns an array or one for each output. `shape` gets a
    TensorType for each input and the attributes, and returns one or several.
    `body` gets an `Ops` first, then values and attributes, and returns values: it
    is compiled and fused instead of calling the kernel. A kernel needs a shape
    function; a body is enough by itself.
    `inputs` and `outputs` say how many a node may have, as a number or (least,
    most), most being None if there is no limit; the least inputs are always
    given. Nodes of other numbers, also those of a damaged file, are refused.
    """
    domain, separator, op = name.rpartition("::")
    if not separator or not domain or not op:
        raise ValueError(f"an operator is named 'domain::Op', not '{name}'")
    if kernel is None and body is None:
        raise ValueError(f"operator '{name}' needs a kernel or a body")
    if kernel is not None and shape is None and body is None:
        raise ValueError(f"operator '{name}' needs a shape function or a body")
    flags = ((_limosa.OPERATOR_STATEFUL if stateful else 0)
             | (_limosa.OPERATOR_PREFER_KERNEL if prefer_kernel else 0))
    _operators[name, version] = _limosa.Operator(
        domain, op, version, revision + _fingerprint(shape) + _fingerprint(body), flags,
        body_opset, kernel and _kernel(kernel), shape and _shape(shape), body and _body(body),
        _range(inputs), _range(outputs))


def _range(count: Optional[Count]) -> tuple[int, int]:
    """A number of inputs or outputs as (least, most)."""
    least, most = (0, None) if count is None else (count, count) if isinstance(count, int) else count
    most = _limosa.OPERATOR_MANY if most is None else most
    if not 0 <= least <= most:
        raise ValueError(f"an operator cannot have {count} inputs or outputs")
    return least, most


def unregister_operator(name: str, version: int = 1) -> None:
    """Forgets an operator; models that are loaded keep it."""
    del _operators[name, version]


def custom_op(name: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers the decorated function as the kernel of an operator (register_operator)."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        register_operator(name, kernel=function, **options)
        return function

    return decorate


def _fingerprint(function: Optional[Callable[..., Any]]) -> str:
    """Changes when a function's code does: compiled models depend on it."""
    if not isinstance(function, types.FunctionType):
        return ""
    plain = (bool, int, float, str, tuple, type(None))
    held = [cell.cell_contents for cell in function.__closure__ or ()
            if isinstance(cell.cell_contents, plain)]
    text = repr((_meaning(function.__code__), held, function.__defaults__,
                 function.__kwdefaults__))
    return hashlib.sha256(text.encode()).hexdigest()


def _meaning(code: types.CodeType) -> tuple:
    """Code without the lines it stands on."""
    constants = [_meaning(c) if isinstance(c, types.CodeType) else c for c in code.co_consts]
    return code.co_code, code.co_names, code.co_varnames, code.co_freevars, constants


#===----------------------------------------------------------------------===
# From what the binding gives to what users see, and back
#===----------------------------------------------------------------------===


def _size(text: str) -> Size:
    try:
        return int(text)
    except ValueError:
        return Dim(text)


def _type(given: Optional[tuple]) -> Optional[TensorType]:
    if given is None:
        return None
    dtype, dims, value, elements = given
    return TensorType(dtype, tuple(map(_size, dims)),
                      None if value is None else as_named_type(value, dtype),
                      None if elements is None else tuple(map(_size, elements)))


def _attributes(given: dict) -> dict:
    return {name: as_named_type(*value) if isinstance(value, tuple) else value
            for name, value in given.items()}


def _as_list(result: Any, single: type, count: int) -> list:
    results = [result] if isinstance(result, single) or not isinstance(result, (tuple, list)) \
        else list(result)
    if len(results) != count:
        raise ValueError(f"the node has {count} outputs, the function returns {len(results)}")
    return results


def _kernel(function: Callable[..., Any]) -> Callable[..., list]:
    def call(inputs: list, attributes: dict, dtypes: list) -> list:
        arrays = [None if given is None else as_named_type(*given) for given in inputs]
        results = _as_list(function(*arrays, **_attributes(attributes)), np.ndarray, len(dtypes))
        return [_result(k, result, dtype) for k, (result, dtype) in enumerate(zip(results, dtypes))]

    return call


def _result(number: int, result: Any, dtype: str) -> Any:
    if dtype == "string":
        texts = np.asarray(result, object)
        return texts.shape, texts.reshape(-1).tolist()
    array = np.asarray(result)
    if array.dtype.name != dtype:
        raise TypeError(f"output {number} is {dtype}, the kernel returns {array.dtype.name}")
    array = np.asarray(array, order="C")
    return array.view(f"uint{8 * array.dtype.itemsize}") if has_no_numpy_type(dtype) else array


def _shape(function: Callable[..., Any]) -> Callable[..., list]:
    def call(inputs: list, attributes: dict, count: int) -> list:
        types = function(*map(_type, inputs), **_attributes(attributes))
        return [(str(np.dtype(t.dtype)) if not isinstance(t.dtype, str) else t.dtype,
                 [str(size) for size in t.shape])
                for t in _as_list(types, TensorType, count)]

    return call


#===----------------------------------------------------------------------===
# Bodies
#===----------------------------------------------------------------------===


class Tensor:
    """A value of a body."""

    def __init__(self, ops: "Ops", number: int) -> None:
        self._ops, self._number = ops, number

    @property
    def type(self) -> TensorType:
        known = _type(self._ops._builder.type(self._number))
        if known is None:
            raise ValueError("the value is no tensor")
        return known

    @property
    def dtype(self) -> str:
        return self.type.dtype

    @property
    def shape(self) -> tuple[Size, ...]:
        return self.type.shape

    def __add__(self, other: Any) -> "Tensor":
        return self._ops.add(self, other)

    def __radd__(self, other: Any) -> "Tensor":
        return self._ops.add(other, self)

    def __sub__(self, other: Any) -> "Tensor":
        return self._ops.sub(self, other)

    def __rsub__(self, other: Any) -> "Tensor":
        return self._ops.sub(other, self)

    def __mul__(self, other: Any) -> "Tensor":
        return self._ops.mul(self, other)

    def __rmul__(self, other: Any) -> "Tensor":
        return self._ops.mul(other, self)

    def __truediv__(self, other: Any) -> "Tensor":
        return self._ops.div(self, other)

    def __rtruediv__(self, other: Any) -> "Tensor":
        return self._ops.div(other, self)

    def __matmul__(self, other: Any) -> "Tensor":
        return self._ops.matmul(self, other)

    def __neg__(self) -> "Tensor":
        return self._ops.neg(self)


#: Operators whose names are not their words with capitals.
_SPELLINGS = {name.lower().replace("_", ""): name for name in (
    "ArgMax ArgMin BitShift CumProd CumSum DFT EyeLike GRU GatherND HardSwish IsInf IsNaN LRN "
    "LSTM LogSoftmax MatMul NonZero OneHot PRelu RMSNormalization RNN STFT ScatterND TopK").split()}


class Ops:
    """ONNX operators as functions: `ops.mul(x, ops.erf(x))`.

    The name is ONNX's, or its words in small letters (`reduce_mean`); attributes
    are keywords. Numbers and arrays become constants, of the dtype of the first
    value if they are numbers. `ops("domain::Op", x)` calls any operator;
    `outputs=` says how many results there are.
    """

    def __init__(self, builder: "_limosa.Builder") -> None:
        self._builder = builder

    def __call__(self, op: str, *operands: Any, outputs: int = 1, **attributes: Any) -> Any:
        like = next((o for o in operands if isinstance(o, Tensor)), None)
        numbers = [None if o is None else self._number(o, like) for o in operands]
        made = self._builder.make(op, numbers, attributes, outputs)
        values = tuple(Tensor(self, number) for number in made)
        return values[0] if outputs == 1 else values

    def _number(self, operand: Any, like: Optional[Tensor]) -> int:
        if isinstance(operand, Tensor):
            return operand._number
        dtype = like.dtype if like is not None and not isinstance(operand, (np.ndarray, np.generic,
                                                                            list)) else None
        return self.constant(operand, dtype)._number

    def constant(self, value: Any, dtype: Optional[str] = None) -> Tensor:
        """An array or a number as a value."""
        array = np.asarray(value) if dtype is None or has_no_numpy_type(dtype) \
            else np.asarray(value, dtype)
        if dtype is not None and array.dtype.name != dtype:
            import ml_dtypes
            array = array.astype(getattr(ml_dtypes, dtype))
        name = array.dtype.name
        array = np.asarray(array, order="C")
        if has_no_numpy_type(name):
            array = array.view(f"uint{8 * array.dtype.itemsize}")
        return Tensor(self, self._builder.constant(array, name))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        op = name if name[0].isupper() else _SPELLINGS.get(
            name.replace("_", ""), "".join(word.capitalize() for word in name.split("_")))
        return lambda *operands, **options: self(op, *operands, **options)


def _body(function: Callable[..., Any]) -> Callable[..., list]:
    def call(builder: "_limosa.Builder", inputs: Sequence, attributes: dict, count: int) -> list:
        ops = Ops(builder)
        values = [None if given is None else Tensor(ops, k) for k, given in enumerate(inputs)]
        results = _as_list(function(ops, *values, **_attributes(attributes)), Tensor, count)
        return [ops._number(result, None) for result in results]

    return call
