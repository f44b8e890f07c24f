"""What a user may write, and what to say where it is something else."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def unknown(kind: str, name: object, names: Iterable[str]) -> str:
    """`there is no check 'vpj' (do you mean 'vjp'?): write one of …`"""
    names = list(names)
    near = get_close_matches(str(name), names, 3, 0.5)
    meant = f" (do you mean {' or '.join(map(repr, near))}?)" if near else ""
    shown = ", ".join(names) if len(names) <= 20 else f"{', '.join(names[:20])} … ({len(names)} in all)"
    return f"there is no {kind} {name!r}{meant}: write {'one of ' * (len(names) > 1)}{shown}"


def listed(kind: str, given: str | Iterable[str], names: Iterable[str]) -> list[str]:
    """A name, or several, as a list; ValueError if one of them is none of `names`."""
    given, names = [given] if isinstance(given, str) else list(given), list(names)
    for name in given:
        if name not in names:
            raise ValueError(unknown(kind, name, names))
    return given
