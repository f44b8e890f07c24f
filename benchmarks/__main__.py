"""All the measurements, one after the other: printed, and kept in a folder.

    python -m benchmarks [NAME ...] [--quick] [--out FOLDER]

Each benchmark is a program of its own, `python benchmarks/NAME.py`, with flags of its own. The folder gets their times
(NAME.json), their pictures (NAME.png) and one text, results.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # `python -m benchmarks` has the folder above

import pictures  # noqa: E402
from contest import SLOWING  # noqa: E402
from report import Results, described_machine  # noqa: E402

NAMES = (
    "starts",
    "overhead",
    "gemm",
    "steps",
    "compiled",
    "lenet",
    "epoch",
    "classic",
    "chains",
    "growth",
    "memory",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help=f"which of them (all): {', '.join(NAMES)}")
    add("--quick", action="store_true", help="less of everything, to see that it runs: not to be quoted")
    add("--threads", type=int, nargs="+", metavar="N", help="threads, instead of each one's own choice")
    add("--turns", type=int, metavar="N", help="turns of each contender, instead of each one's own choice")
    add("--out", type=Path, metavar="FOLDER", help="where to keep the results (runs/benchmarks-DATE)")
    args = parser.parse_args()
    if unknown := set(args.names) - set(NAMES):
        parser.error(f"there is no {', '.join(sorted(unknown))}: there are {', '.join(NAMES)}")
    folder = args.out or Path("runs") / time.strftime("benchmarks-%Y%m%d-%H%M%S")
    folder.mkdir(parents=True, exist_ok=True)

    for variable in SLOWING:
        os.environ.pop(variable, None)
    flags = ["--quick"] * args.quick
    for flag in ("threads", "turns"):
        value = getattr(args, flag)
        if value:
            flags += [f"--{flag}", *map(str, value if isinstance(value, list) else [value])]
    failed = []
    for name in args.names or NAMES:
        print(f"\n== benchmarks/{name}.py", flush=True)
        path = folder / f"{name}.json"
        command = [sys.executable, HERE / f"{name}.py", *flags, "--json", path]
        environment = os.environ | {
            "PYTHONPATH": f"{HERE.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        }
        if subprocess.run(command, env=environment).returncode:
            failed.append(name)
    write(folder)
    print(f"\nkept in {folder}: results.md, and the times and a picture of each")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed) > 0


def write(folder: Path) -> None:
    """results.md, and a picture for each, of all the results that are in the folder."""
    parts = []
    for path in sorted(folder.glob("*.json"), key=lambda p: NAMES.index(p.stem)):
        results = Results.read(path.read_text(encoding="utf-8"))
        if not parts:
            parts.append(f"# Measurements\n\n{described_machine(results.machine)}.\n")
        if results.settings.get("quick"):
            parts.append("A quick run, to see that it works: not to be quoted.\n")
        text = results.markdown()
        if pictures.draw(results, path.with_suffix(".png")):
            text += f"\n![{results.title}]({results.name}.png)\n"
        parts.append(text)
    (folder / "results.md").write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
