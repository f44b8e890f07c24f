"""What a check has found, said the way a colleague would."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Finding:
    """One thing that is wrong."""

    check: str  # the name of the check that found it
    what: str  # a sentence: what is wrong, and where
    expected: Any = None
    got: Any = None
    cause: str = ""  # what mistake looks like this
    rule: str = ""  # the source line of the rule that is to blame

    def __str__(self):
        lines = [self.what]
        if self.expected is not None:
            lines += [f"expected  {shown(self.expected)}", f"got       {shown(self.got)}"]
        if self.cause:
            lines.append(f"likely    {self.cause}")
        if self.rule:
            lines.append(f"rule      {self.rule}")
        return "\n".join((f"✗ {lines[0]}  [{self.check}]", *(f"    {line}" for line in lines[1:])))


@dataclass
class Report:
    """All that check_gradients has to say about a function at a point."""

    name: str
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)  # those that ran
    oracle: str = ""
    seed: int = 0
    snippet: str = ""

    @property
    def ok(self) -> bool:
        return not self.findings

    def __bool__(self):
        return self.ok

    def __str__(self):
        if self.ok:
            head = f"{self.name}: the gradients are right, by {len(self.checks)} checks"
        else:
            head = f"{self.name}: the gradients are wrong" if self.wrong_numbers else (
                f"{self.name}: the gradients are not what they should be")  # fmt: skip
        lines = [head, *map(str, self.findings)]
        lines += [f"· {note}" for note in self.notes]
        if self.oracle:
            lines.append(f"· compared with: {self.oracle}; random numbers from seed={self.seed}")
        if self.snippet and not self.ok:
            lines += ["", "To see it:", "", *(f"    {line}" for line in self.snippet.splitlines())]
        return "\n".join(lines)

    @property
    def wrong_numbers(self) -> bool:
        return any(finding.expected is not None for finding in self.findings)


class GradientError(AssertionError):
    """check_gradients found something; `report` holds it all."""

    def __init__(self, report: Report):
        super().__init__(str(report))
        self.report = report


def shown(value: Any) -> str:
    """A number or an array, on one line if it fits."""
    if isinstance(value, np.ndarray):
        text = np.array2string(value, separator=", ", threshold=40, precision=8)
        return text.replace("\n", "\n" + " " * 14)
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.10g}"
    return str(value)
