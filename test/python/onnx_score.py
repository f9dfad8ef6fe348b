"""Runs ONNX's whole suite (onnx.backend.test) through limosa.backend and writes the score.

    .venv/bin/python test/python/onnx_score.py                      # both executors
    .venv/bin/python test/python/onnx_score.py --executor cpu --cases 'test_reduce.*'
    .venv/bin/python test/python/onnx_score.py --write              # docs/onnx-score.md, README
    ... --results score.json --seconds 200    # some of it; run again to go on where it stopped

Cases run by ONNX's own runner, in processes of their own: a crash or a case that takes
longer than --timeout counts as not passed, as does everything that is refused. Only the
models that the runner would download are left out.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import re
import selectors
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "onnx-score.md"
README = ROOT / "README.md"
EXECUTORS = {"cpu": "Backend", "reference": "ReferenceBackend"}
MARKS = ("<!-- onnx score -->", "<!-- end of onnx score -->")
# How the reason of a case begins that Limosa refuses, as against doing it wrong.
REFUSED = "refused: "
# Cases that nothing can pass, or whose numbers are right in another way.
OTHERWISE = {
    "test_bernoulli": "compares numbers that are drawn",
    "test_training_dropout": "compares numbers that are drawn",
    "test_dft_inverse": "compares with the rounding of another algorithm",
    "test_loop16_seq_none": "ONNX's runner takes the length of a scalar",
    # torch and onnxruntime agree with each other and with Limosa: corners are aligned to
    # the result's size, not to the product of size and scale.
    "test_resize_downsample_scales_(linear|cubic)_align_corners":
        "torch and onnxruntime differ from it as well",
}
SUMMARY = re.compile(r"^(\d+) of (\d+) cases pass", re.M)


def tests(executor):
    """All cases by name."""
    sys.path.insert(0, str(ROOT / "build" / "python"))
    import onnx.backend.test
    import onnx.backend.test.loader as loader

    import limosa.backend

    remote = {f"{case.name}_cpu" for case in loader.load_model_tests(kind="real")
              if not case.url.startswith("onnx/backend/test/data/light/")}
    backend = getattr(limosa.backend, EXECUTORS[executor])
    suite = onnx.backend.test.BackendTest(backend, __name__).test_cases
    return {name: case(name) for case in suite.values() for name in dir(case)
            if name.startswith("test_") and name.endswith("_cpu") and name not in remote}


def reason(error):
    """The last line that says why, without the names of nodes and files."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [repr(error)]
    refused = [line for line in lines if re.match(r"^\w+ '.*' \(.*version \d+\): ", line)]
    if refused:
        return REFUSED + re.sub(r"^(\w+) '.*?' \(.*?version (\d+)\): ", r"\1: ", refused[0])
    text = next((line for line in lines if "Mismatch" in line or "not equal" in line.lower()),
                lines[0])
    text = re.sub(r"^'[^']*model\.onnx': ", "", text)
    text = re.sub(r"(/[\w.+-]+)+/", "", text.split(" (known test")[0])
    if isinstance(error, NotImplementedError):
        return REFUSED + text
    return f"{type(error).__name__}: {text}"[:200]


def run_case(test):
    result = unittest.TestResult()
    caught = []

    def keep(_, error):
        caught.append(reason(error[1]))

    result.addError = result.addFailure = keep
    result.addSkip = lambda _, why: caught.append(f"skipped: {why}")
    test.run(result)
    return caught[0] if caught else None


def work(executor):
    """A worker: names come in, a line of JSON goes out for each."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what cases print is none of the answers
    cases = tests(executor)
    print(json.dumps(sorted(cases)), file=answers)
    for line in sys.stdin:
        print(json.dumps(run_case(cases[line.strip()])), file=answers)


class Worker:
    def __init__(self, executor, cache):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--work", "--executor", executor],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, "LIMOSA_CACHE_DIR": cache})
        self.names = json.loads(self.process.stdout.readline())

    def run(self, name, timeout):
        """Why a case does not pass, or None; and whether the worker is still there."""
        print(name, file=self.process.stdin, flush=True)
        with selectors.DefaultSelector() as ready:
            ready.register(self.process.stdout, selectors.EVENT_READ)
            if not ready.select(timeout):
                return f"takes more than {timeout} s", False
        line = self.process.stdout.readline()
        if not line:
            return f"crashes (exit code {self.process.wait()})", False
        return json.loads(line), True

    def stop(self):
        self.process.kill()
        self.process.wait()


def run_suite(executor, pattern, timeout, jobs, results, seconds):
    """Adds to results: name -> why it does not pass, or None. Whether all have run."""
    lock, queue = threading.Lock(), []
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="limosa-score-") as cache:
        first = Worker(executor, cache)
        queue.extend(name for name in reversed(first.names)
                     if re.search(pattern, name) and name not in results)
        total = len(queue) + len(results)

        def drain(worker):
            while True:
                with lock:
                    if not queue or time.monotonic() > end:
                        return worker.stop() if worker else None
                    name = queue.pop()
                worker = worker or Worker(executor, cache)
                why, alive = worker.run(name, timeout)
                with lock:
                    results[name] = why
                    if len(results) % 100 == 0:
                        print(f"{executor}: {len(results)} of {total}", file=sys.stderr, flush=True)
                if not alive:
                    worker.stop()
                    worker = None

        threads = [threading.Thread(target=drain, args=(worker,))
                   for worker in [first] + [None] * (jobs - 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return not queue


def section(executor, results):
    passed = sum(why is None for why in results.values())
    lines = [f"## {executor}", "",
             f"{passed} of {len(results)} cases pass: {100 * passed / len(results):.1f} %.", ""]
    reasons = collections.defaultdict(list)
    for name, why in sorted(results.items()):
        other = next((text for key, text in OTHERWISE.items() if re.match(key, name)), None)
        if why is not None:
            why = other or why
            reasons[why].append(name.removesuffix("_cpu"))
    if reasons:
        lines += ["| Cases | Why they do not pass | Which |", "|---:|---|---|"]
    for why, names in sorted(reasons.items(), key=lambda item: (-len(item[1]), item[0])):
        lines.append(f"| {len(names)} | {why.replace('|', '/')} | {', '.join(names)} |")
    return "\n".join(lines) + "\n"


def write(sections):
    """The page, in which executors that did not run keep their sections; and the README."""
    kept = {}
    if PAGE.exists():
        for part in PAGE.read_text().split("\n## ")[1:]:
            kept[part.split("\n", 1)[0]] = "## " + part.rstrip() + "\n"
    kept.update(sections)
    PAGE.write_text(
        "# The score on ONNX's suite\n\n"
        "Made by `test/python/onnx_score.py --write`: ONNX's own runner over `limosa.backend`. Every "
        "case that does not\npass is listed with its reason.\n\n" + "\n".join(kept[e] for e in sorted(kept)))
    rows = ["| Executor | Cases that pass |", "|---|---:|"]
    for executor in sorted(kept):
        passed, total = map(int, SUMMARY.search(kept[executor]).groups())
        rows.append(f"| `{executor}` | {passed} of {total} ({100 * passed / total:.1f} %) |")
    text = README.read_text()
    before, rest = text.split(MARKS[0])
    README.write_text(before + MARKS[0] + "\n" + "\n".join(rows) + "\n" + MARKS[1] + rest.split(MARKS[1])[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--executor", choices=EXECUTORS, action="append")
    parser.add_argument("--cases", default="", help="regular expression")
    parser.add_argument("--timeout", type=int, default=120, help="seconds for a case")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--results", type=Path, help="file that keeps the results")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    executors = options.executor or list(EXECUTORS)
    if options.work:
        return work(executors[0])
    if options.write and options.cases:
        parser.error("--write is for the whole suite")
    kept = {}
    if options.results and options.results.exists():
        kept = json.loads(options.results.read_text())
    sections, complete = {}, True
    for executor in executors:
        results = kept.setdefault(executor, {})
        complete &= run_suite(executor, options.cases, options.timeout, options.jobs, results,
                              options.seconds)
        if options.results:
            options.results.write_text(json.dumps(kept, indent=1))
        sections[executor] = section(executor, results)
        print(sections[executor])
    if options.write and complete:
        write(sections)
    return 0 if complete else 2


if __name__ == "__main__":
    sys.exit(main())
