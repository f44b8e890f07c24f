"""`python -m nn.as_torch PROGRAM.py [arguments]`: a PyTorch program, run here."""

from __future__ import annotations

import argparse
import os

from .running import main


def command_line() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m nn.as_torch",
        description="Run a PyTorch program, unmodified: autodiff and nn answer its imports of torch and "
        "torchvision, even where PyTorch is installed.",
    )
    parser.add_argument("program", metavar="PROGRAM.py", help="the program")
    own = parser.add_argument("arguments", nargs=argparse.REMAINDER, help="its own arguments")
    own.required = False
    given = parser.parse_args()
    if not os.path.isfile(given.program):
        parser.error(f"there is no file {given.program}")
    return given


if __name__ == "__main__":
    given = command_line()
    main(given.program, given.arguments)
