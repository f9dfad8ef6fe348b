#!/usr/bin/env python3
"""Breaks ONNX models at random and feeds them to the command.

A broken model may be refused or may run; it must not end by a signal, take more than the time
limit, use gigabytes, or fail without a message. Each mutant follows from its number alone.

  mutate_models.py --count 10000 --jobs 2         the long run
  mutate_models.py --first 4711 --count 1 --keep  one mutant again, and its file kept
"""

import argparse
import collections
import concurrent.futures
import pathlib
import random
import resource
import subprocess
import sys
import tempfile

import onnx
from onnx import TensorProto

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXTREMES = [0, 1, -1, 2, 3, 7, 64, 1 << 20, (1 << 31) - 1, 1 << 31, -(1 << 31), 1 << 40,
            (1 << 63) - 1, -(1 << 63)]
MEMORY = 4 << 30


def sources():
    """Small models of all kinds: ONNX's own node cases and whole small networks."""
    cases = pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data"
    found = [path for folder in ("node", "simple", "pytorch-operator", "pytorch-converted")
             for path in sorted((cases / folder).glob("*/model.onnx"))]
    return [path for path in found if path.stat().st_size < 100_000]


def flip_bytes(data, rng):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        data[rng.randrange(len(data))] = rng.choice([0, 1, 127, 128, 255, rng.randrange(256)])
    return bytes(data)


def cut(data, rng):
    return data[:rng.randrange(len(data))]


def splice(data, rng):
    """Moves a piece of the file somewhere else."""
    begin = rng.randrange(len(data))
    piece = data[begin:begin + rng.randrange(1, 64)]
    at = rng.randrange(len(data))
    return data[:at] + piece + data[at:]


def change_attribute(model, rng):
    attributes = [a for node in model.graph.node for a in node.attribute]
    if not attributes:
        return change_dimension(model, rng)
    attribute = rng.choice(attributes)
    if attribute.ints:
        how = rng.randrange(3)
        if how == 0:
            attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(EXTREMES)
        elif how == 1:
            attribute.ints.append(rng.choice(EXTREMES))
        else:
            del attribute.ints[rng.randrange(len(attribute.ints))]
    elif attribute.type == onnx.AttributeProto.INT:
        attribute.i = rng.choice(EXTREMES)
    elif attribute.type == onnx.AttributeProto.FLOAT:
        attribute.f = rng.choice([0.0, -1.0, 1e38, float("nan"), float("inf")])
    elif attribute.type == onnx.AttributeProto.STRING:
        attribute.s = rng.choice([b"", b"x", attribute.s + b"?", b"\xff\xfe", b"a" * 4096])
    else:
        attribute.type = rng.randrange(15)


def change_dimension(model, rng):
    infos = list(model.graph.input) + list(model.graph.output)
    infos = [info for info in infos if info.type.tensor_type.shape.dim]
    if not infos:
        return change_type(model, rng)
    dims = rng.choice(infos).type.tensor_type.shape.dim
    dim = rng.choice(dims)
    how = rng.randrange(4)
    if how == 0:
        dim.dim_value = rng.choice(EXTREMES)
    elif how == 1:
        dim.dim_param = rng.choice(["N", "", "a b", "N+1", "$", "floordiv", "x" * 300])
    elif how == 2:
        dims.add().dim_value = rng.choice(EXTREMES)
    else:
        dims.remove(dim)


def change_type(model, rng):
    tensors = [info.type.tensor_type for info in list(model.graph.input) + list(model.graph.output)]
    tensors += [node.t for node_ in model.graph.node for node in node_.attribute if node.HasField("t")]
    tensors += list(model.graph.initializer)
    tensor = rng.choice(tensors)
    value = rng.choice([0, 1, 2, 6, 7, 8, 9, 10, 11, 14, 16, 17, 21, 22, 99, -1])
    if isinstance(tensor, TensorProto):
        tensor.data_type = value
    else:
        tensor.elem_type = value


def change_tensor(model, rng):
    tensors = list(model.graph.initializer)
    tensors += [a.t for node in model.graph.node for a in node.attribute if a.HasField("t")]
    if not tensors:
        return change_wiring(model, rng)
    tensor = rng.choice(tensors)
    how = rng.randrange(4)
    if how == 0:
        tensor.dims.append(rng.choice(EXTREMES))
    elif how == 1 and tensor.dims:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(EXTREMES)
    elif how == 2:
        tensor.raw_data = tensor.raw_data[:len(tensor.raw_data) // 2]
    else:
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key = rng.choice(["location", "offset", "length"])
        entry.value = rng.choice(["../../../etc/passwd", "/dev/zero", "nothing.bin", "-1", "1" * 30])


def change_wiring(model, rng):
    graph = model.graph
    names = [name for node in graph.node for name in list(node.input) + list(node.output)]
    names += [info.name for info in graph.input] + ["", "nobody"]
    node = rng.choice(graph.node)
    how = rng.randrange(6)
    if how == 0 and node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice(names)
    elif how == 1 and node.output:
        node.output[rng.randrange(len(node.output))] = rng.choice(names)
    elif how == 2 and node.input:
        del node.input[rng.randrange(len(node.input))]
    elif how == 3:
        node.input.append(rng.choice(names))
    elif how == 4:
        graph.node.append(node)
    else:
        graph.output.add().name = rng.choice(names)


def change_operator(model, rng):
    node = rng.choice(model.graph.node)
    how = rng.randrange(4)
    if how == 0:
        node.op_type = rng.choice(onnx.defs.get_all_schemas()).name
    elif how == 1:
        node.domain = rng.choice(["", "ai.onnx", "ai.onnx.ml", "com.microsoft", "x"])
    elif how == 2:
        model.opset_import[0].version = rng.choice([0, 1, 5, 7, 9, 11, 13, 18, 21, 23, 99, -1])
    else:
        del node.attribute[:]


BYTE_CHANGES = [flip_bytes, cut, splice]
GRAPH_CHANGES = [change_attribute, change_dimension, change_type, change_tensor, change_wiring,
                 change_operator]


def mutant(number, files):
    rng = random.Random(number)
    path = rng.choice(files)
    data = path.read_bytes()
    if rng.random() < 0.3:
        return path, rng.choice(BYTE_CHANGES)(data, rng)
    model = onnx.load_model_from_string(data)
    for _ in range(rng.choice([1, 1, 2, 3])):
        try:
            rng.choice(GRAPH_CHANGES)(model, rng)
        except (ValueError, IndexError, TypeError):
            pass  # the change does not fit what is there
    return path, model.SerializeToString()


def limit_memory():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


def attempt(number, files, command, seconds, folder):
    """What is wrong with how the command took the mutant, or None, and a summary of its answer."""
    source, data = mutant(number, files)
    path = pathlib.Path(folder) / f"mutant-{number}.onnx"
    path.write_bytes(data)
    name = f"{number} ({source.parent.name})"
    try:
        done = subprocess.run([command, "run", str(path), "--no-cache", "--threads", "1"],
                              capture_output=True, text=True, errors="replace", timeout=seconds,
                              preexec_fn=limit_memory)
    except subprocess.TimeoutExpired:
        return f"{name}: took more than {seconds} s", "timeout", path
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    if done.returncode < 0 or done.returncode > 128:
        return f"{name}: signal, exit code {done.returncode}: {' / '.join(lines)[-400:]}", "signal", path
    if done.returncode and not any(line.startswith("error: ") and len(line) > 20 for line in lines):
        return f"{name}: failed without a cause: {done.stderr[-400:]!r}", "no cause", path
    if "internal" in done.stderr:
        return f"{name}: {' / '.join(lines)[-400:]}", "internal error", path
    path.unlink()
    return None, "refused" if done.returncode else "ran", path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default=str(ROOT / "build" / "bin" / "limosa"))
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--keep", action="store_true", help="keep all files of mutants with findings")
    options = parser.parse_args()
    files = sources()
    answers = collections.Counter()
    findings = 0
    folder = tempfile.mkdtemp(prefix="limosa-mutants-")
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        numbers = range(options.first, options.first + options.count)
        for done, (finding, answer, path) in enumerate(pool.map(
                lambda n: attempt(n, files, options.command, options.seconds, folder), numbers), 1):
            answers[answer] += 1
            if finding:
                findings += 1
                print(finding, f"[{path}]" if options.keep else "", flush=True)
                if not options.keep:
                    path.unlink(missing_ok=True)
            if sys.stdout.isatty():
                print(f"\r{done}/{options.count}", end="", flush=True)
    print(f"{options.count} mutants, {findings} findings; " +
          ", ".join(f"{count} {answer}" for answer, count in answers.most_common()))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
