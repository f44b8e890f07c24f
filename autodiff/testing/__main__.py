"""python -m autodiff.testing SUBCOMMAND: each is a module of its own, with a main(argv)."""

from __future__ import annotations

import importlib
import importlib.util
import sys

from .options import INSTALL

SUBCOMMANDS = {  # name → (module, what it does)
    "museum": ("museum.command", "every gradient bug of the museum against every checker"),
    "mutate": ("mutate", "every rule of ops/ changed in every way, against the kit's table of operations"),
    "grade": ("grade", "the report card of an engine, or of a class's engines"),
}


def main(argv: list[str]) -> int:
    if not argv or argv[0] not in SUBCOMMANDS:
        lines = [f"  {name:<8}{about}" for name, (_, about) in SUBCOMMANDS.items()]
        print("usage: python -m autodiff.testing SUBCOMMAND …\n", *lines, sep="\n")
        return 0 if argv and argv[0] in ("-h", "--help") else 2
    if importlib.util.find_spec("hypothesis") is None:
        print(
            f"{argv[0]} draws its inputs with Hypothesis, which is missing: {INSTALL.format('test')}",
            file=sys.stderr,
        )
        return 2
    module = importlib.import_module(f".{SUBCOMMANDS[argv[0]][0]}", __package__)
    return module.main(argv[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
