"""Reads the metadata of an .onnx file: text that its maker put beside the graph.

Only the outermost protobuf message is walked, so that neither the onnx package
nor a session is needed. Fields: ModelProto.metadata_props = 14, of
StringStringEntryProto {key = 1, value = 2}.
"""

from pathlib import Path


def _varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _fields(data):
    """Yields (number, bytes) of the length-delimited fields of a message."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 2:
            size, at = _varint(data, at)
            yield number, data[at : at + size]
            at += size
        elif wire == 0:
            _, at = _varint(data, at)
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            raise ValueError(f"not an ONNX file: wire type {wire}")


def read_metadata(path):
    """{key: text} of the model at `path`."""
    model = memoryview(Path(path).read_bytes())
    found = {}
    for number, entry in _fields(model):
        if number == 14:
            parts = {n: bytes(v).decode() for n, v in _fields(entry)}
            found[parts.get(1, "")] = parts.get(2, "")
    return found
