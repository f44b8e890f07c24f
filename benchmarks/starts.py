"""What has to be waited for: imports, the first step of an MNIST run with nothing compiled, and with all of it cached.

    python benchmarks/starts.py [--threads 2] [--turns 7] [--json starts.json]

Fresh processes in turns. "Cold" is with empty folders for what is compiled (NUMBA_CACHE_DIR for machine code,
AUTODIFF_CACHE_DIR for generated source); "warm" is the same once more.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from contest import ROOT, settle
from report import Results, Table, median, run

HERE = Path(__file__).resolve().parent
IMPORT = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
PACKAGES = (
    "autodiff",
    "numpy",
    "nn",
    "numba",
    "autograd",
    "mygrad",
    "tinygrad",
    "micrograd.engine",
    "jax",
    "torch",
)
COLD, WARM, THEIRS = "ours, cold", "ours, warm", "PyTorch"
READING = "reading the files"
COLD_TURNS = 2  # each takes the seconds of a compile


def child(*arguments: str, **variables: str) -> str | None:
    """What a fresh Python prints, or None if it ends with an error. It keeps the bytecode of what it imports,
    as Python does where nobody has told it not to: else it would compile our source in every process."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, HERE)))} | variables
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment)
    if done.returncode and "ModuleNotFoundError" not in done.stderr:
        print(done.stderr, file=sys.stderr)
    return None if done.returncode else done.stdout


def imports(args, results: Results) -> None:
    times: dict[str, list[float]] = {}
    for name in PACKAGES:  # once untimed: .pyc files written, and libraries in memory
        if child("-c", IMPORT.format(name)) is None:
            results.left_out[f"import {name}"] = "it cannot be imported"
        else:
            times[name] = []
    for _ in range(args.turns):
        for name, each in times.items():
            each.append(float(child("-c", IMPORT.format(name)) or "nan"))
    numpy, found = median(times["numpy"]), median(times["autodiff"])
    table = Table("import …", "seconds: median (least–most), times autodiff's", {"s": times}, ours="autodiff")
    table.notes = [f"Twice numpy's and 0.05 s is {2 * numpy + 0.05:.3f} s; autodiff takes {found:.3f}."]
    results.add(table)


def started(library: str, **variables: str) -> dict[str, float] | None:
    """The seconds of each phase of a start."""
    said = child(str(HERE / "first_step.py"), library, repr(time.time()), **variables)
    return None if said is None else json.loads(said.splitlines()[-1])


def first_steps(args, results: Results, threads: int) -> None:
    settle(threads)
    found: dict[str, list[dict[str, float]]] = {COLD: [], WARM: [], THEIRS: []}

    def note(name: str, phases: dict[str, float] | None) -> None:
        if phases is None:
            results.left_out[name] = "it did not start"
        else:
            found[name].append(phases)

    for turn in range(args.turns):
        with tempfile.TemporaryDirectory() as folder:
            empty = {"NUMBA_CACHE_DIR": f"{folder}/numba", "AUTODIFF_CACHE_DIR": f"{folder}/generated"}
            if turn < min(COLD_TURNS, args.turns):
                note(COLD, started("ours", **empty))
        if turn == 0:
            started("ours")  # fills the caches where they usually are
        note(WARM, started("ours"))
        if THEIRS not in results.left_out:
            note(THEIRS, started("torch"))
    cells = {}
    for name, runs in found.items():
        if runs:
            cells[name] = {phase: [r[phase] for r in runs] for phase in runs[0]}
            beyond = [sum(r.values()) - r[READING] for r in runs]
            cells[name]["all but the reading"] = beyond
            cells[name]["to the first step, but the reading"] = [r["imports"] + r["first step"] for r in runs]
    title = f"The first step of an MNIST run, {threads} thread{'s' * (threads > 1)}"
    table = Table(title, "seconds, in order: median (least–most)", cells, ours="")
    if COLD in cells and WARM in cells:
        compile_ = median(cells[COLD]["all but the reading"]) - median(cells[WARM]["all but the reading"])
        warm = median(cells[WARM]["to the first step, but the reading"])
        table.notes = [
            f"To compile all takes {compile_:.1f} s. With all cached the first step is done after {warm:.2f} s."
        ]
    results.add(table)


def measure(args, results: Results) -> None:
    settle(max(args.threads))
    imports(args, results)
    for threads in args.threads:
        first_steps(args, results, threads)


if __name__ == "__main__":
    run(measure, __file__, __doc__, turns=7, threads=(2,))
