"""Sequential, ModuleList and ModuleDict: lists and dicts of modules, checked against Python's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import autodiff as ad
import nn

indices = st.integers(-6, 6)


def slices(n=6):
    ends = st.none() | st.integers(-n, n)
    return st.builds(slice, ends, ends, st.none() | st.integers(1, 3))


CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("append")),
        st.tuples(st.just("extend")),
        st.tuples(st.just("iadd")),
        st.tuples(st.just("insert"), indices),
        st.tuples(st.just("pop"), indices),
        st.tuples(st.just("set"), indices),
        st.tuples(st.just("del"), indices | slices()),
    ),
    max_size=8,
)


def change(row, how, *place):
    """Apply one change to a list or a container; the exception's type, if there was one."""
    index = place[0] if place else None
    module = row.fresh()
    try:
        if how == "append":
            row.it.append(module)
        elif how == "extend":
            row.it.extend([module, row.fresh()])
        elif how == "iadd":
            row.it += [module]
        elif how == "insert":
            row.it.insert(index, module)
        elif how == "pop":
            row.it.pop(index)
        elif how == "set":
            row.it[index] = module
        else:
            del row.it[index]
    except IndexError:
        return IndexError
    return None


class Twin:
    """A container and a list that draw the same modules."""

    def __init__(self, it, modules):
        self.it, self.modules = it, iter(modules)

    def fresh(self):
        return next(self.modules)


@pytest.mark.parametrize("kind", [nn.ModuleList, lambda modules: nn.Sequential(*modules)])
@given(n=st.integers(0, 4), changes=CHANGES, index=indices, piece=slices())
def test_rows_behave_as_lists(kind, n, changes, index, piece):
    modules = [nn.Identity() for _ in range(n + 3 * len(changes))]
    row, plain = Twin(kind(modules[:n]), modules[n:]), Twin(modules[:n], modules[n:])
    for each in changes:
        assert change(row, *each) is change(plain, *each)
    assert list(row.it) == plain.it and len(row.it) == len(plain.it)
    assert list(dict(row.it.named_children())) == [str(k) for k in range(len(plain.it))]
    assert list(row.it[piece]) == plain.it[piece] and type(row.it[piece]) is type(row.it)
    assert list(row.it + modules[:2]) == plain.it + modules[:2]
    if -len(plain.it) <= index < len(plain.it):
        assert row.it[index] is plain.it[index]
    else:
        with pytest.raises(IndexError, match="out of range"):
            row.it[index]


def test_sequential_runs_in_order():
    net = nn.Sequential(nn.Linear(2, 3), nn.Flatten(0), nn.Sequential(nn.Identity()))
    assert net(ad.ones(4, 2)).shape == (12,) and nn.Sequential()(3) == 3
    named = nn.Sequential({"fc": nn.Linear(2, 3), "act": nn.ReLU()})
    assert list(named.state_dict()) == ["fc.weight", "fc.bias"] and named.fc is named[0]
    assert list(dict(named[1:].named_children())) == ["act"]
    assert list(dict(nn.Sequential(*named).named_children())) == ["0", "1"]


def test_what_is_no_module_is_refused():
    for make in (
        lambda: nn.Sequential(nn.Linear(1, 1), "relu"),
        lambda: nn.ModuleList([3]),
        lambda: nn.ModuleList().append(ad.relu),
        lambda: nn.ModuleList().insert(0, 3),
        lambda: nn.ModuleDict({"f": len}),
    ):
        with pytest.raises(TypeError, match="cannot assign '.*' object to module"):
            make()
    with pytest.raises(NotImplementedError):
        nn.ModuleList()(1)


def test_module_dict():
    d = nn.ModuleDict({"a": nn.ReLU(), "b": nn.Linear(1, 2)})
    assert list(d) == list(d.keys()) == ["a", "b"] and len(d) == 2 and "a" in d and "c" not in d
    assert d["a"] is d.a and list(d.values()) == [d.a, d.b] and list(d.items())[0] == ("a", d.a)
    d["c"] = nn.Tanh()
    d.update([("a", nn.Sigmoid())])
    assert [type(m).__name__ for m in d.children()] == ["Sigmoid", "Linear", "Tanh"]
    assert list(d.state_dict()) == ["b.weight", "b.bias"]
    assert isinstance(d.pop("c"), nn.Tanh) and list(d) == ["a", "b"]
    del d["a"]
    d.clear()
    assert not len(d)
    with pytest.raises(KeyError):
        d["a"]
    with pytest.raises(KeyError, match="attribute 'keys' already exists"):
        d["keys"] = nn.ReLU()
