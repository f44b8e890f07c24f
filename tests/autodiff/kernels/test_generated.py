"""Where generated source is kept, and what becomes of it where it can't be, or is broken."""

from __future__ import annotations

import errno
import os

import pytest
from kernel_support import needs_numba

from autodiff.kernels import generated

pytestmark = needs_numba
SOURCE = "def double(x):\n    return 2 * x\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(generated.VARIABLE, str(tmp_path))
    return tmp_path / "compiled"


@pytest.mark.parametrize("broken", [b"", b"def double(", b"\0" * 100], ids=["empty", "cut off", "zeros"])
def test_a_broken_file_is_written_anew(folder, broken):
    """A machine that goes down leaves such."""
    first = generated.module("A title.", SOURCE)
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(broken)
    again = generated.module("A title.", SOURCE)
    assert first.double(3) == again.double(3) == 6
    assert again.double.__code__.co_filename == str(file) and file.read_bytes() == whole


def test_without_room_for_it_source_has_no_file(folder, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    made = generated.module("A title.", SOURCE)
    assert made.double(3) == 6 and made.double.__code__.co_filename.startswith("<program_")
    assert list(folder.iterdir()) == []


def test_where_nobody_is_at_home_the_folder_beside_the_kernels_is_all_there_is(monkeypatch):
    monkeypatch.delenv(generated.VARIABLE)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert [folder.parent.name for folder in generated.folders()] == ["__pycache__"]


def test_source_is_another_for_vectors_of_another_width(monkeypatch):
    """Its machine code calls the kernel of one width by name."""
    from autodiff.kernels.vectorised import VARIABLE

    stamps = set()
    for width in ("16", "32", "64"):
        monkeypatch.setenv(VARIABLE, width)
        stamps.add(generated.stamp.__wrapped__())
    assert len(stamps) == 3
