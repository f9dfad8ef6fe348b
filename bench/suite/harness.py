"""What the suite shares with the tests: how torch modules get weights and become files."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "test" / "python"))

from models.export import randomise, trace  # noqa: E402

__all__ = ["ROOT", "randomise", "trace"]
