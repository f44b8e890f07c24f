"""What the checks have found, said the way a colleague would."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

CONSEQUENCES = {  # what follows from a wrong vjp, and need not be told at length
    "jvp": "forward mode", "adjoint": "the agreement of the modes", "second order": "the second derivative",
    "alone": "the gradient by a single input", "memory layouts": "the gradient for other memory layouts",
}  # fmt: skip


@dataclass
class Finding:
    """One thing that is wrong."""

    check: str  # the name of the check that found it
    what: str  # a sentence: what is wrong, and where
    expected: Any = None
    got: Any = None
    cause: str = ""  # the mistake that looks like this
    rule: str = ""  # the source line of the rule that is to blame
    detail: str = ""  # the same numbers in other words
    error: Exception | None = None  # what was raised, if something was
    scene: dict[str, Any] = field(default_factory=dict)  # what a program has to do to show it

    def __str__(self):
        lines = [self.what]
        if self.expected is not None:
            lines += [f"expected  {shown(self.expected)}", f"got       {shown(self.got)}"]
        for name, text in (("that is", self.detail), ("likely", self.cause), ("rule", self.rule)):
            if text:
                lines.append(f"{name:<10}{text}")
        return "\n".join((f"✗ {lines[0]}  [{self.check}]", *(f"    {line}" for line in lines[1:])))


@dataclass
class Report:
    """All that there is to say about the derivatives of a function at a point."""

    name: str
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)  # those that ran
    oracle: str = ""
    refusals: list[str] = field(default_factory=list)  # why it is not a more precise oracle
    seed: int = 0
    snippet: str = ""

    @property
    def ok(self) -> bool:
        return not self.findings

    def __bool__(self):
        return self.ok

    def __str__(self):
        checks = f"{len(self.checks)} checks" if len(self.checks) > 1 else "one check"
        head = f"the derivatives are right, by {checks}" if self.ok else "the derivatives are wrong"
        lines = [f"{self.name}: {head}"]
        wrong_rule = any(finding.check == "vjp" for finding in self.findings)
        told = [f for f in self.findings if not (wrong_rule and f.check in CONSEQUENCES)]
        follow = dict.fromkeys(CONSEQUENCES[f.check] for f in self.findings if f not in told)
        lines += map(str, told)
        if follow:
            lines.append(f"✗ as follows from it, also wrong: {', '.join(follow)}")
        lines += [f"· {note}" for note in self.notes]
        if self.oracle:
            lines.append(
                f"· compared with: {self.oracle}{self.because}; random numbers from seed={self.seed}"
            )
        if self.snippet and not self.ok:
            lines += ["· to see it:", "", *(f"    {line}".rstrip() for line in self.snippet.splitlines())]
        return "\n".join(lines)

    __repr__ = __str__  # what a REPL shows

    @property
    def because(self) -> str:
        return f" ({'; '.join(self.refusals)})" if self.refusals else ""


class GradientError(AssertionError):
    """check_gradients found something; `report` holds it all."""

    def __init__(self, report: Report):
        super().__init__(str(report))
        self.report = report

    @property
    def cause(self) -> Exception | None:
        """What was raised on the way, if something was."""
        return next((f.error for f in self.report.findings if f.error), None)


def shown(value: Any) -> str:
    """A number or an array, with as many digits as tell."""
    if isinstance(value, np.ndarray):
        text = np.array2string(value, separator=", ", threshold=40, precision=8)
        return text.replace("\n", "\n" + " " * 14)
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.10g}"
    return f"{value} = {float(value):.10g}" if getattr(value, "denominator", 1) != 1 else str(value)


def said(error: BaseException) -> str:
    """An exception on one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def hide(excinfo: Any) -> bool:
    """What a function of the kit has as __tracebackhide__: pytest leaves its frame out of a GradientError."""
    return isinstance(excinfo.value, GradientError)
