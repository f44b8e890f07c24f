"""Most tests let Python run the generated source, which is what Numba would compile: exact, and without waiting
for a compiler. Those marked `machine_code` compile."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def cache_folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTODIFF_CACHE_DIR", str(tmp_path_factory.mktemp("compiled")))
        patch.setenv("AUTODIFF_COMPILE", "1")
        yield


@pytest.fixture(autouse=True)
def run_by_python(monkeypatch, request):
    if "machine_code" not in request.keywords:
        monkeypatch.setattr("autodiff.kernels.generated.MODE", "python")
