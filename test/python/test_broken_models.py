"""Broken models end with a message: the short run of test/fuzz/mutate_models.py."""

import pathlib
import subprocess
import sys

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "fuzz" / "mutate_models.py"


def test_mutants_are_refused_or_run():
    done = subprocess.run([sys.executable, str(SCRIPT), "--first", "1400", "--count", "120", "--jobs", "2"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("120 mutants, 0 findings")
