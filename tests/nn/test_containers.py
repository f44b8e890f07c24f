"""Sequential, ModuleList and ModuleDict: lists and dicts of modules, checked against Python's own."""

from __future__ import annotations

from collections import OrderedDict, defaultdict

import numpy as np
import pytest
from beside_torch import same
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
    for remedy, wrong in (
        (r"write ReLU\(\)", nn.ReLU),
        (r"Sequential\(\*layers\)", [nn.ReLU()]),
        ("in forward", ad.relu),
    ):
        with pytest.raises(TypeError, match=remedy):
            nn.Sequential(wrong)
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


def test_nothing_to_begin_with():
    assert len(nn.ModuleList(None)) == len(nn.ModuleDict(None)) == len(nn.Sequential()) == 0


def test_places_are_whole_numbers():
    net = nn.Sequential(nn.ReLU())
    for place in ("0", 0.0, None):
        with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
            net[place]
    assert net[np.int64(0)] is net[-1]


def three(lib):
    return lib.nn.Linear(1, 1), lib.nn.ReLU(), lib.nn.Tanh()


def named(lib):
    return lib.nn.Sequential(OrderedDict(zip("abc", three(lib), strict=True)))


def after(container, change):
    return change(container), container


PROGRAMS = {
    "slices": lambda lib: [lib.nn.Sequential(*three(lib))[a:b:c] for a, b, c in [(1, None, 1), (None, None, -1), (3, 1, -1)]],
    "slices of names": lambda lib: named(lib)[1:],
    "a deleted name": lambda lib: after(named(lib), lambda m: m.__delitem__(0)),
    "deleted names": lambda lib: after(named(lib), lambda m: m.__delitem__(slice(0, 2))),
    "appended to names": lambda lib: named(lib).append(lib.nn.ReLU()).extend([lib.nn.Tanh()]),
    "a popped name": lambda lib: after(named(lib), lambda m: m.pop(0)),
    "sums": lambda lib: lib.nn.Sequential(*three(lib)) + named(lib),
    "a sum in place": lambda lib: after(named(lib), lambda m: m.__iadd__(named(lib))),
    "products": lambda lib: [named(lib) * 2, 3 * lib.nn.Sequential(*three(lib))],
    "a product is of the same modules": lambda lib: [len(m := lib.nn.Sequential(*three(lib)) * 2), m[0] is m[3]],
    "a product in place": lambda lib: after(lib.nn.Sequential(*three(lib)), lambda m: m.__imul__(2)),
    "no product": lambda lib: named(lib) * 0,
    "not a number": lambda lib: named(lib) * 1.5,
    "set": lambda lib: after(named(lib), lambda m: m.__setitem__(-1, lib.nn.ReLU())),
    "set to nothing": lambda lib: after(lib.nn.ModuleList(three(lib)), lambda m: m.__setitem__(1, None)),
    "set to a number": lambda lib: named(lib).__setitem__(0, 3),
    "set outside": lambda lib: named(lib).__setitem__(3, lib.nn.ReLU()),
    "list pop": lambda lib: after(lib.nn.ModuleList(three(lib)), lambda m: [m.pop(0), m.pop(-1)]),
    "list pop slice": lambda lib: after(lib.nn.ModuleList(three(lib)), lambda m: m.pop(slice(0, 2))),
    "list insert": lambda lib: after(lib.nn.ModuleList(three(lib)), lambda m: m.insert(1, lib.nn.Tanh()) and None),
    "list in list": lambda lib: list(lib.nn.ModuleList([lib.nn.ModuleList(three(lib)), lib.nn.ModuleDict({"x": lib.nn.Linear(1, 1)})]).state_dict()),
    "list that repeats": lambda lib: lib.nn.ModuleList([*[lib.nn.Sequential(*three(lib)) for _ in range(3)], lib.nn.ReLU(), lib.nn.Tanh(), lib.nn.Tanh()]),
    "list of nothing": lambda lib: lib.nn.ModuleList([None, lib.nn.ReLU()]),
    "list of a list": lambda lib: lib.nn.ModuleList(lib.nn.ModuleList(three(lib))).extend(lib.nn.ModuleList(three(lib))),
    "list, called": lambda lib: lib.nn.ModuleList(three(lib))(3),
    "dict": lambda lib: lib.nn.ModuleDict([["b", lib.nn.ReLU()], ("a", lib.nn.Tanh())]),
    "dict update": lambda lib: after(lib.nn.ModuleDict({"a": lib.nn.ReLU()}), lambda d: d.update(lib.nn.ModuleDict({"b": lib.nn.Tanh(), "a": lib.nn.Tanh()}))),
    "dict update by pairs": lambda lib: after(lib.nn.ModuleDict(), lambda d: d.update((k, lib.nn.ReLU()) for k in "ba")),
    "dict views": lambda lib: [list(d.keys()), list(d.values()), list(d.items()), len(d), "a" in d, "b" in d] if (d := lib.nn.ModuleDict(defaultdict(int, a=lib.nn.ReLU()))) else None,
    "dict pop": lambda lib: after(lib.nn.ModuleDict({"a": lib.nn.ReLU(), "b": lib.nn.Tanh()}), lambda d: d.pop("a")),
    "dict pop missing": lambda lib: lib.nn.ModuleDict().pop("a"),
    "dict get missing": lambda lib: lib.nn.ModuleDict()["a"],
    "dict set attribute": lambda lib: after(lib.nn.ModuleDict(), lambda d: setattr(d, "b", lib.nn.ReLU())),
    "dict number": lambda lib: lib.nn.ModuleDict({3: lib.nn.ReLU()}),
    "dict dot": lambda lib: lib.nn.ModuleDict({"a.b": lib.nn.ReLU()}),
    "dict method": lambda lib: lib.nn.ModuleDict({"items": lib.nn.ReLU()}),
    "dict of nothing": lambda lib: lib.nn.ModuleDict({"a": None}),
    "not modules": lambda lib: lib.nn.Sequential(list(three(lib))),
    "not iterable": lambda lib: lib.nn.ModuleList(3),
    "not pairs": lambda lib: lib.nn.ModuleDict(3),
    "truth": lambda lib: [bool(lib.nn.Sequential()), bool(named(lib)), bool(lib.nn.ModuleList()), bool(lib.nn.ModuleDict())],
    "modes": lambda lib: [m.training for m in lib.nn.Sequential(lib.nn.ModuleList([lib.nn.Dropout()])).eval().modules()],
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_containers_are_pytorchs(name):
    same(PROGRAMS[name])
