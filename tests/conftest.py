"""What holds for every test: profiles of Hypothesis, and no traces in the home of who runs them."""

import os

# The tests run in several processes: BLAS threads of their own would only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Training compiles its step, which takes seconds each time: only the tests that are about that wait for it.
os.environ.setdefault("AUTODIFF_COMPILE", "0")

import pytest
from hypothesis import HealthCheck, settings

quiet = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(
    "default", max_examples=30, deadline=None, derandomize=True, suppress_health_check=quiet
)
settings.register_profile(
    "thorough", max_examples=400, deadline=None, print_blob=True, suppress_health_check=quiet
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session", autouse=True)
def matplotlibs_own_folder(tmp_path_factory):
    """It keeps a list of fonts, in the user's home if it is not told another place."""
    os.environ["MPLCONFIGDIR"] = str(tmp_path_factory.mktemp("matplotlib"))
