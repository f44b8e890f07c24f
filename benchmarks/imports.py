"""What `import autodiff` costs beside a bare `import numpy`: fresh processes in turns, medians.

python benchmarks/imports.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys

TURNS = 11
CODE = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"


def main():
    found = {"numpy": [], "autodiff": [], "nn": []}
    for _ in range(TURNS):
        for name, times in found.items():
            done = subprocess.run(
                [sys.executable, "-c", CODE.format(name)], capture_output=True, text=True, check=True
            )
            times.append(float(done.stdout))
    for name, times in found.items():
        print(f"{statistics.median(times):.3f} s  import {name}")


if __name__ == "__main__":
    main()
