"""Scripts are imported by their names, as they import one another."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for folder in ("experiments", "benchmarks"):
    sys.path.insert(0, str(ROOT / folder))
