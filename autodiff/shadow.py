"""A warning when `import nn` finds somebody else's `nn` instead of the one beside this package, and errors
that lead there those who look for it inside this one, where PyTorch has it.

Another distribution has that name, and so may a file of the user's. All who mean ours import
`autodiff` with it, so this package can wait for the import and look where it leads.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

PACKAGE = __name__.partition(".")[0]
OURS = Path(__file__).parents[1] / "nn" / "__init__.py"
ELSEWHERE = {  # what PyTorch has inside torch → where it is here
    "nn": "import nn",
    "optim": "import nn.optim as optim",
    "utils": "from nn.data import DataLoader, Dataset, random_split",
    "save": "nn.checkpoint.save_tensors(path, model.state_dict())",
    "load": "nn.checkpoint.load_tensors(path)",
}


class Lookout:
    """An import finder that finds nothing: it looks at where the first `import nn` will lead."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> None:
        package, _, inner = name.rpartition(".")
        if name == "nn":
            sys.meta_path.remove(self)
            warn_of(PathFinder.find_spec(name, path, target))
        elif package == PACKAGE and inner in ELSEWHERE:
            raise ModuleNotFoundError(
                f"No module named '{name}': here, write `{ELSEWHERE[inner]}`", name=name
            )


def warn_of(spec: ModuleSpec | None, stacklevel: int = 3) -> None:
    """Warn at the user's line if what is found under the name `nn` is not ours. It has the name by
    right if it is the user's own, so this is no error."""
    if spec is None or spec.origin is None or is_ours(Path(spec.origin)):
        return
    warnings.warn(
        f"`import nn` finds {spec.origin}, which is not autodiff's nn ({OURS}). If autodiff's was meant: "
        "a file of your own by that name needs another one; another distribution's goes with "
        "`pip uninstall nn`, and then autodiff-nn has to be installed again (pip's --force-reinstall)",
        RuntimeWarning,
        stacklevel=stacklevel,
    )


def is_ours(origin: Path) -> bool:
    """Is it the file beside this package, and is it still the one we put there?"""
    try:
        return origin.samefile(OURS) and b"autodiff" in origin.read_bytes()
    except OSError:
        return origin == OURS  # both in one archive


def refuse(name: str) -> None:
    """The error for a name that this package has not, with the place where it is."""
    text = f"module '{PACKAGE}' has no attribute '{name}'"
    if name in ELSEWHERE:
        raise AttributeError(f"{text}: here, write `{ELSEWHERE[name]}`")
    raise AttributeError(text, name=name, obj=sys.modules[PACKAGE])


def watch() -> None:
    """Look at the `nn` that is there already, or else at the first one to come; and answer for names that are
    elsewhere. (Written down like this, for type checkers take any name for known where they see a `__getattr__`.)"""
    vars(sys.modules[PACKAGE])["__getattr__"] = refuse
    if "nn" in sys.modules:
        warn_of(sys.modules["nn"].__spec__, stacklevel=4)
    else:
        sys.meta_path.insert(0, Lookout())
