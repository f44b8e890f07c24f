"""The IDX reader: what was written comes back, and nothing else passes for a whole file."""

from __future__ import annotations

import gzip
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from idx_files import CODES, idx_bytes, written

from nn.datasets import read_idx

arrays = st.sampled_from(sorted(CODES)).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)
names = st.sampled_from(["x-idx", "x-idx.gz"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("idx")


def refused(path, *mentions):
    with pytest.raises(ValueError) as error:
        read_idx(path)
    for text in (str(path), "found", "expected", *mentions):
        assert text in str(error.value)


@given(array=arrays, name=names)
def test_what_was_written_comes_back(folder, array, name):
    found = read_idx(written(folder / name, idx_bytes(array)))
    np.testing.assert_array_equal(found, array, strict=True)
    assert found.flags.writeable and found.dtype.isnative


def test_a_compressed_file_may_be_called_anything(folder):
    found = read_idx(written(folder / "x.gz", idx_bytes(np.arange(6, dtype="i4"))).rename(folder / "y"))
    assert found.tolist() == list(range(6))


@given(array=arrays, name=names, data=st.data())
def test_a_file_cut_short_is_refused(folder, array, name, data):
    content = idx_bytes(array)
    end = data.draw(st.integers(0, len(content) - 1))
    refused(written(folder / name, content[:end]))


@given(array=arrays, data=st.data())
def test_a_compressed_file_cut_short_is_refused(folder, array, data):
    content = gzip.compress(idx_bytes(array))
    path = folder / "cut.gz"
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    refused(path)


@given(array=arrays, name=names, more=st.binary(min_size=1, max_size=9))
def test_bytes_behind_the_elements_are_refused(folder, array, name, more):
    refused(written(folder / name, idx_bytes(array) + more))


@given(array=arrays, name=names, flip=st.integers(1, 255), data=st.data())
def test_a_damaged_header_is_refused_or_read_to_the_letter(folder, array, name, flip, data):
    content = bytearray(idx_bytes(array))
    content[data.draw(st.integers(0, 3 + 4 * array.ndim))] ^= flip
    path = written(folder / name, bytes(content))
    try:
        found = read_idx(path)
    except ValueError as error:
        assert str(path) in str(error) and "found" in str(error) and "expected" in str(error)
    else:  # another type of the same size is a file like any other
        assert idx_bytes(found) == content


@given(array=arrays, flip=st.integers(1, 255), data=st.data())
def test_a_damaged_compressed_file_is_refused_or_holds_the_same(folder, array, flip, data):
    content = bytearray(gzip.compress(idx_bytes(array), mtime=0))
    content[data.draw(st.integers(0, len(content) - 1))] ^= flip
    path = folder / "damaged.gz"
    path.write_bytes(content)
    try:
        found = read_idx(path)
    except ValueError as error:
        assert all(text in str(error) for text in (str(path), "found", "expected"))
    else:  # the time, and such, are nobody's business
        np.testing.assert_array_equal(found, array, strict=True)


def test_what_is_not_gzip_is_told_by_its_first_bytes(folder):
    path = folder / "page.gz"
    path.write_bytes(b"<html>not found</html>")
    refused(path, "not a gzip file", "3c68", "1f8b")
    path.write_bytes(b"")
    refused(path, "nothing")


def peak_of(f):
    tracemalloc.start()
    try:
        f()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["huge", "huge.gz"])
@pytest.mark.parametrize(
    "shape", [(2**31,), (2**32 - 1,) * 3, (0, 2**32 - 1, 2**32 - 1), (2**16, 2**16), (1,) * 65, (0,) * 255]
)
def test_absurd_sizes_are_refused_before_anything_is_allocated(folder, name, shape):
    header = bytes([0, 0, 0x08, len(shape)]) + np.array(shape, ">u4").tobytes()
    path = written(folder / name, header + bytes(100))
    assert peak_of(lambda: refused(path, str(shape), "expected")) < 2**21


def test_a_small_file_that_swells_is_not_read_to_its_end(folder):
    path = written(folder / "bomb.gz", idx_bytes(np.zeros(3, "u1")) + bytes(2**26))
    assert path.stat().st_size < 2**17
    assert peak_of(lambda: refused(path, "more bytes behind them")) < 2**21


@given(
    content=st.binary(max_size=40),
    prefix=st.sampled_from([b"", b"\0\0", b"\0\0\x08\1", b"\x1f\x8b\x08", b"\x1f\x8b\x08\0"]),
    name=names,
)
def test_any_bytes_are_an_idx_file_or_refused(folder, content, prefix, name):
    """Whatever there is, no more is allocated than the file could fill."""
    path = folder / name
    path.write_bytes(prefix + content)

    def read():
        try:
            assert idx_bytes(read_idx(path)) == prefix + content
        except ValueError as error:
            assert all(text in str(error) for text in (str(path), "found", "expected"))

    assert peak_of(read) < 2**20


def test_no_file_is_no_value_error(folder):
    with pytest.raises(FileNotFoundError):
        read_idx(folder / "nowhere")
