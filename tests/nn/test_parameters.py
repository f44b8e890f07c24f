"""ParameterList and ParameterDict."""

from __future__ import annotations

import copy
from collections import OrderedDict

import pytest
from beside_torch import same

import autodiff as ad
import nn


def test_a_list_is_pytorchs():
    def program(lib):
        t = lib.torch.tensor
        own = lib.nn.Module()
        own.ps = ps = lib.nn.ParameterList([lib.nn.Parameter(t([1.0, 2.0])), t([[3.0]])])
        ps.append(t([4.0]))
        ps += [t([5.0]), "a word"]
        ps.extend([t([6.0])])
        ps[1] = t([7.0, 8.0])
        ps[-1] = t([9.0])
        kinds = [type(p).__name__ for p in ps]
        return [
            len(ps), kinds, list(own.state_dict()), list(own.state_dict().values()), ps[0], ps[-2], repr(ps).replace("torch.", ""),
            [len(ps[1:3]), len(ps[::2])], [p.requires_grad for p in own.parameters()], list(ps)[1],
        ]  # fmt: skip

    same(program)


def test_a_dict_is_pytorchs():
    def program(lib):
        t = lib.torch.tensor
        own = lib.nn.Module()
        own.ps = ps = lib.nn.ParameterDict({"b": lib.nn.Parameter(t([1.0, 2.0])), "a": t([[3.0]])})
        found = [
            list(ps.keys()),
            list(own.state_dict()),
            [p for p in ps.values()],
            "a" in ps,
            len(ps),
            ps["a"],
        ]
        ps["word"] = "a word"
        ps.update([("c", t([4.0]))])
        ps.update(OrderedDict(z=t([5.0]), y=t([6.0])))
        ps["b"] = t([7.0])
        found += [
            list(ps),
            [n for n, _ in own.named_parameters()],
            ps.get("none"),
            ps.get("none", 3),
            list(reversed(ps)),
        ]
        found += [ps.setdefault("b", 1), ps.setdefault("new", t([8.0])), ps.pop("z"), ps.popitem()[0]]
        other = ps.copy() | lib.nn.ParameterDict({"more": t([9.0])})
        ps |= {"last": t([1.0])}
        found += [list(other), list(ps), list(ps.fromkeys(["x", "y"], t([0.0])).keys())]
        del ps["a"]
        found += [list(dict(ps.items())), list(own.state_dict())]
        ps.clear()
        return [*found, len(ps), list(own.state_dict())]

    same(program)


def test_errors_are_pytorchs():
    ones = [lambda lib: lib.nn.ParameterList([lib.torch.ones(1)])[1], lambda lib: lib.nn.ParameterDict()["a"]]
    programs = [
        ones[0], lambda lib: lib.nn.ParameterList()(1), lambda lib: lib.nn.ParameterDict()(1),
        lambda lib: lib.nn.ParameterList().extend(3), lambda lib: lib.nn.ParameterList().extend(lib.torch.ones(2)),
        lambda lib: lib.nn.ParameterDict().update(3),
        lambda lib: lib.nn.ParameterDict().__setitem__(1, lib.torch.ones(1)),
        lambda lib: lib.nn.ParameterList([lib.torch.ones(1)]).__setitem__(1, 2),
    ]  # fmt: skip
    for k, program in enumerate(programs):
        assert isinstance(same(program), Exception), k
    with pytest.raises(KeyError):
        ones[1](type("Ours", (), {"nn": nn}))
    with pytest.raises(KeyError, match="empty"):
        nn.ParameterDict().popitem()


def test_a_dict_may_have_any_names():
    ps = nn.ParameterDict({"keys": ad.ones(1), "training": ad.zeros(2)})
    assert (
        ps["keys"].tolist() == [1] and ps.training is True and list(ps.state_dict()) == ["keys", "training"]
    )
    assert "(keys): Parameter containing: [float32 of size 1]" in repr(ps)


def test_they_are_copied_and_loaded():
    own = nn.Module()
    own.ps, own.named = nn.ParameterList([ad.ones(2)]), nn.ParameterDict({"a": ad.ones(1)})
    other = copy.deepcopy(own)
    nn.init.zeros_(other.ps[0])
    assert own.ps[0].tolist() == [1, 1]
    other.load_state_dict(own.state_dict())
    assert other.ps[0].tolist() == [1, 1] and other.ps[0] is not own.ps[0]
    own.double()
    assert own.named["a"].dtype == ad.float64
