"""`python -m models list | export [name...]`: looks at and fills the cache."""

import argparse
import logging
import sys
import time

from .registry import Unavailable, all_models


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m models", description=__doc__)
    parser.add_argument("command", choices=["list", "export"])
    parser.add_argument("name", nargs="*")
    parser.add_argument("--tier", choices=["small", "full"])
    options = parser.parse_args()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # torchvision's absence
    chosen = [m for m in all_models()
              if (not options.name or m.name in options.name)
              and options.tier in (None, m.tier)]
    unknown = set(options.name) - {m.name for m in chosen}
    if unknown:
        print(f"no model called {', '.join(sorted(unknown))}; see: list", file=sys.stderr)
        return 2
    failed = 0
    for m in chosen:
        if options.command == "list":
            state = m.path if m.path.exists() else "not exported"
            print(f"{m.name:24} {m.tier:6} {state}")
            continue
        start = time.monotonic()
        try:
            path = m.export()
            size = sum(f.stat().st_size for f in path.parent.iterdir()) / 1e6
            print(f"{m.name:24} {size:8.1f} MB {time.monotonic() - start:6.1f} s  {path}", flush=True)
        except Unavailable as reason:
            print(f"{m.name:24} not available: {reason}", flush=True)
            failed += 1
        except Exception as error:  # one broken exporter must not hide the others
            print(f"{m.name:24} FAILED: {type(error).__name__}: {str(error)[:2000]}", flush=True)
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
