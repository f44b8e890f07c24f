"""A pytest plugin, for those who switch it on: profiles of Hypothesis, and how to see a failure again.

    pytest_plugins = ["autodiff.testing.plugin"]          # in the conftest.py at the top

    --gradients quick|thorough|nightly    how many examples; quick is the usual run
    --gradients-derandomize               the same examples every time, as suits CI

A failing gradient test says, in a section of its own, the lines that reproduce it and the state of the
random numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from .options import INSTALL

try:
    from hypothesis import HealthCheck, settings
except ImportError as error:
    raise ImportError(f"this plugin sets up Hypothesis: {INSTALL.format('test')}") from error

from .. import random
from .report import GradientError

EXAMPLES = {"quick": 20, "thorough": 400, "nightly": 5000}
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


def register_profiles(derandomize: bool = False) -> None:
    """Make Hypothesis know the profiles `quick`, `thorough` and `nightly`."""
    for name, examples in EXAMPLES.items():
        settings.register_profile(
            name, max_examples=examples, deadline=None, print_blob=True, suppress_health_check=SLOW,
            derandomize=derandomize, database=None if derandomize else settings.default.database,
        )  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("autodiff", "gradient tests")
    group.addoption("--gradients", choices=EXAMPLES, help="the profile to test with (quick)")
    group.addoption("--gradients-derandomize", action="store_true", help="the same examples every time")


def pytest_configure(config: pytest.Config) -> None:
    derandomize = bool(config.getoption("--gradients-derandomize"))
    register_profiles(derandomize)
    profile = config.getoption("--gradients")
    if profile or derandomize:  # else what the conftest says is left alone
        settings.load_profile(profile or "quick")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    item.stash[STATE] = (int(random.initial_seed()), np.random.get_state()[1][0])  # type: ignore[index]
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    report = yield
    error = call.excinfo and call.excinfo.value
    if call.when == "call" and isinstance(error, GradientError):
        report.sections.append(("to reproduce this gradient failure", how_to_see_it(item, error)))
    return report


STATE: pytest.StashKey[tuple] = pytest.StashKey()


def how_to_see_it(item: pytest.Item, error: GradientError) -> str:
    seed, numpys = item.stash.get(STATE, ("?", "?"))
    profile = item.config.getoption("--gradients") or "quick"
    return "\n".join(
        (
            error.report.snippet,
            "",
            f"# the kit's random numbers: seed={error.report.seed}; autodiff.initial_seed() was {seed}, the",
            f"# first word of np.random's state {numpys}",
            f"# the test again: pytest '{item.nodeid}' --gradients {profile}",
        )
    )
