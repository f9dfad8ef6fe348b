"""Results as JSON lines: one record per case, threads and precision; the last counts.

A record is appended when its case is done, so an interrupted run loses one case.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

TOLERANCE = 1e-4  # of the largest value; more counts as a different result


def key(record: dict) -> tuple:
    return record["case"], record["threads"], record["precision"]


class Store:
    def __init__(self, folder: Path):
        self.folder = folder
        self.path = folder / "results.jsonl"

    def load(self) -> list[dict]:
        """The last record of each key, in the order of the file. Skips a torn last line."""
        found: dict[tuple, dict] = {}
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                try:
                    record = json.loads(line)
                    found[key(record)] = record
                except (json.JSONDecodeError, KeyError, TypeError):
                    continue
        return list(found.values())

    def append(self, record: dict) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a") as file:
            if file.tell() and not self._ends_with_newline():
                file.write("\n")
            file.write(json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def compact(self) -> None:
        """Drops records that were measured again."""
        records = self.load()
        if records:
            self.replace("results.jsonl", "".join(json.dumps(r) + "\n" for r in records))

    def machine(self) -> dict:
        path = self.folder / "machine.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def write_machine(self, facts: dict) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.replace("machine.json", json.dumps(facts, indent=2) + "\n")

    def replace(self, name: str, text: str) -> None:
        aside = self.folder / f".{name}.{os.getpid()}"
        aside.write_text(text)
        os.replace(aside, self.folder / name)

    def _ends_with_newline(self) -> bool:
        with open(self.path, "rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"


def is_done(record: dict, build: str, definition: str, engines: list[str]) -> bool:
    """Whether a record is of this build and model and has all the engines."""
    return (record.get("build") == build and record.get("model") == definition
            and set(engines) <= record["engines"].keys())
