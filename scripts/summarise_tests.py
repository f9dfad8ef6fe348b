"""Adds up the JUnit files of a test run.

Usage: summarise_tests.py FOLDER SUITE...   reads FOLDER/SUITE.xml of each suite

Prints failures and the reasons of skipped tests, then as its last line
'N passed, N failed, N skipped'. Exits 1 when a test failed, a suite left no
result, or nothing ran.
"""

import collections
import sys
import xml.etree.ElementTree as xml
from pathlib import Path


def outcome(case):
    """('passed' | 'failed' | 'skipped', reason) of one <testcase>."""
    for tag in ("failure", "error"):
        if case.find(tag) is not None:
            return "failed", case.find(tag).get("message") or ""
    skipped = case.find("skipped")
    if skipped is not None or case.get("status") in ("notrun", "disabled"):
        reason = skipped.get("message") if skipped is not None else ""
        output = case.findtext("system-out") or ""
        if "SKIPPED" in (reason or "") or not reason:  # GoogleTest says why in its output
            lines = [line.strip() for line in output.splitlines()]
            told = [line for line in lines if line and not line.startswith(("[", "Note:", "Running"))]
            reason = told[-1] if told else reason
        return "skipped", reason or "no reason given"
    return "passed", ""


def main(folder, suites):
    totals = collections.Counter()
    for suite in suites:
        counts, reasons, failures = collections.Counter(), collections.Counter(), []
        try:
            cases = list(xml.parse(Path(folder) / f"{suite}.xml").iter("testcase"))
        except (OSError, xml.ParseError) as error:
            cases, failures = [], [f"{suite} left no result: {error}"]
            counts["failed"] += 1
        for case in cases:
            result, reason = outcome(case)
            counts[result] += 1
            if result == "skipped":
                reasons[reason.splitlines()[0][:160]] += 1
            elif result == "failed":
                failures.append(f"{case.get('classname', '')} {case.get('name')}".strip())
        print(f"    {suite}: {counts['passed']} passed, {counts['failed']} failed, "
              f"{counts['skipped']} skipped")
        for failure in failures:
            print(f"      failed: {failure}")
        for reason, number in reasons.most_common():
            print(f"      skipped {number}: {reason}")
        totals += counts
    print(f"{totals['passed']} passed, {totals['failed']} failed, {totals['skipped']} skipped")
    return 1 if totals["failed"] or not totals["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
