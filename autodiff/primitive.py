"""How an operation is declared. From one declaration come its forward, its vjp and its jvp.

A rule's parameter names say what it reads, and only that is saved:

    g                 the cotangent of the output            (g_values … for a named output)
    y                 the output                             (values, indices … by name)
    x  or  a, b       an input, by the declaration's names   (xs: all of a variadic one's)
    x_shape           an input's shape, without keeping the input
    i                 which input, in the one rule of a variadic primitive
    wanted            which inputs want a cotangent, in a joint rule, which gives all at once
    t  or  ts         the tangent of the only input, or of each (None: it has none), in a jvp
    anything else     an option of the call (dim, keepdim …)

The names are turned into positions when the primitive is declared. What a call saves depends on
which of its inputs want a gradient: a `Plan` for each such set, made the first time it occurs.
Rules call primitives and + − * / only: on arrays that is NumPy at full speed, on Variables it
records.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from operator import itemgetter
from string import ascii_lowercase
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from .dtypes import DIFFERENTIABLE, in_dtype, promote
from .errors import NO_ARRAYS, SILENT, floating_point, not_a_tensor, translated
from .graph import Leaf, Node, Output, Variable, backpropagate, enable_grad, mode, switched
from .memory import clock, note_write
from .provenance import call_site, describe

table: dict[str, Primitive] = {}  # every primitive there is, by name


class Plan:
    """What a call saves when a given set of its inputs is wanted, and what each rule picks."""

    __slots__ = ("keep", "shapes", "places", "picks", "names", "holds_arrays")

    def __init__(self, primitive: Primitive, wanted: int):
        known, inputs = primitive.known, primitive.inputs
        if primitive.joint or primitive.variadic:
            active = list(primitive.reads)
        else:
            active = [r if wanted >> i & 1 else None for i, r in enumerate(primitive.reads)]
        read = {name for names in active if names for name in names}
        values = [k for k, name in enumerate(known) if name in read]
        self.keep = picker(values)
        self.shapes = [i for i, name in enumerate(inputs) if f"{name}_shape" in read]
        self.places = [primitive.place_of(k) for k in values] + [None] * len(self.shapes)
        self.holds_arrays = bool(values)
        self.names = row = (
            *primitive.head,
            *(known[k] for k in values),
            *(f"{inputs[i]}_shape" for i in self.shapes),
            *primitive.defaults,
        )
        self.picks = [names and picker([row.index(n) for n in names]) for names in active]


class Primitive:
    """A NumPy function that knows its derivative: on arrays just that function, on Variables it
    records."""

    broadcasts = False  # may a cotangent be larger than its input, and be summed back?
    promotes = True  # are the inputs brought to one dtype first?
    apart = 0  # how many of them, from the first, keep their own: where's condition
    to_float = False  # is that dtype a floating one, even of integers?
    views = False  # may the output share the first input's memory?
    joint = False  # does one rule give the cotangents of all inputs at once?
    listed = True  # is it one of the table, or made for a single call?
    ufunc: np.ufunc | None = None  # NumPy's function of the same meaning

    def __init__(self, name, forward, inputs, rules, *, outputs="y", jvp=None, **traits):
        self.name, self.forward, self.jvp = name, forward, jvp
        self.__name__ = name
        self.__doc__ = traits.pop("doc", None) or forward.__doc__
        self.variadic, self.several = inputs[0] == "*", outputs != "y"
        self.named_outputs = self.several and outputs[0] != "*"
        self.rest = None if self.variadic or "*" not in inputs else inputs.count(" ")
        self.inputs = tuple(n.lstrip("*") for n in inputs.split())
        self.outputs = tuple(n.lstrip("*") for n in outputs.split())
        self.known = self.inputs + self.outputs
        self.beyond = math.inf if self.variadic or self.rest is not None else 1 << len(self.inputs)
        self.ufunc = forward if isinstance(forward, np.ufunc) else getattr(forward, "ufunc", None)
        self.defaults = options_of(forward)
        self.rules: tuple[Any, ...] = tuple(rules)
        self.plans: dict[int, Plan] = {}
        for trait, value in traits.items():
            setattr(self, trait, value)
        self.head = (
            *(("wanted",) if self.joint else ("i",) if self.variadic else ()),
            *(("g",) if not self.several else cotangent_names(self.outputs, self.named_outputs)),
        )
        self.reads = [parameters(rule) for rule in self.rules]
        self.jvp_reads = parameters(jvp) if jvp else ()
        self.check_declaration()
        if self.listed:
            if name in table:
                raise TypeError(f"{name} is declared twice")
            table[name] = self

    def check_declaration(self) -> None:
        """An error for rules that do not fit the inputs and the function, in words that say how to mend them."""
        allowed = [*self.head, *self.known, *(f"{n}_shape" for n in self.inputs), *self.defaults]
        for rule in self.reads:
            for read in rule:
                if read not in allowed:
                    raise TypeError(
                        f"{self.name}: a rule reads '{read}', and it may read {', '.join(allowed)}: a rule's parameters "
                        "are named after what it reads, g being the cotangent, y the output, and the inputs "
                        f"{', '.join(self.inputs)}"
                    )
        n = None if self.variadic or self.rest is not None else inputs_of(self.forward)
        if n not in (None, len(self.inputs)):
            raise TypeError(
                f"{self.name}: the function takes {counted(n, 'input')}, and the declaration names "
                f'{len(self.inputs)}: name them all, as in inputs="{names(n)}"'
            )
        if self.joint or self.variadic:
            if len(self.rules) > 1:
                raise TypeError(f"{self.name}: {len(self.rules)} rules, where one serves all inputs")
        elif len(self.rules) > len(self.inputs):
            raise TypeError(
                f"{self.name}: {counted(len(self.rules), 'rule')} for {counted(len(self.inputs), 'input')}"
            )
        unsaved = {*self.jvp_reads} - {"t", "ts", *self.defaults}
        if unsaved - {n for r in self.reads for n in r}:
            raise TypeError(f"{self.name}: the jvp reads what no vjp rule has saved")

    # ---- applying it: the one choke point -----------------------------------------------------

    def __call__(self, *args, **options) -> Any:
        """The one place where anything is computed. Every line runs for every call: it is written
        for speed, in one piece."""
        if options and not BY_NAME.isdisjoint(options):
            args, options = by_place(args, options)
        recording, interpreters = mode.get()
        if interpreters:
            with switched(interpreters=interpreters[:-1]):  # what it calls, the next one out sees
                return interpreters[-1].apply(self, args, options)
        for like in args:
            if isinstance(like, Variable):
                break
        else:
            if args and type(args[0]) in NO_ARRAYS:
                raise not_a_tensor(self.name, args[0])
            return self.forward(*args, **options)  # the usual case inside a rule

        arrays, sources, wanted, bit = [], [], 0, 1
        dtype, alike = like.array.dtype, True
        for a in args:
            origin = None
            if isinstance(a, Variable):
                origin, a = a.origin, a.array
                if origin is not None:
                    wanted |= bit
                if a.dtype is not dtype:
                    alike = False
            else:
                alike = False
            arrays.append(a)
            sources.append(origin)
            bit += bit
        if bit > self.beyond:  # an array too many would be the ufunc's `out`
            raise TypeError(
                f"{self.name}() takes {counted(len(self.inputs), 'input')}, and {len(args)} were given"
            )
        loud = floating_point.set(SILENT)  # overflow and 1/0 are answers, not warnings
        try:
            if self.promotes and not (alike and (not self.to_float or dtype.kind == "f")):
                arrays = self.promoted(arrays)
            y = self.forward(*arrays, **options) if options else self.forward(*arrays)
        except (ValueError, IndexError, TypeError, OverflowError) as error:
            shapes = [np.shape(a) for a in arrays if isinstance(a, np.ndarray)]
            better = translated(error, self.name, shapes)
            raise better from (None if better is error else error)
        finally:
            floating_point.reset(loud)
        if type(y) is not np.ndarray and not self.several:  # a reduction's NumPy scalar, or
            y = np.asarray(y, object if type(y) is int else None)  # an exact number, out of an array
        if wanted and recording and self.rules:
            result = self.record(like, wanted, sources, arrays, y, options)
        else:
            result = tuple(map(like.wrap, y)) if self.several else like.wrap(y)
        if self.views:
            args[0].note_views(self, options, result)
        return result

    def promoted(self, arrays) -> Any:
        """The inputs, brought to one dtype."""
        for k, a in enumerate(arrays):
            if type(a) in NO_ARRAYS:
                raise not_a_tensor(self.name, a, (*BY_PLACE, *self.inputs[2:])[k], k + 1)
        n = self.apart
        return [*arrays[:n], *promote(arrays[n:], self.to_float)] if n else promote(arrays, self.to_float)

    def record(self, like, wanted, sources, arrays, y, options):
        """The result, with a Node that remembers the call."""
        if self.variadic:
            wanted, arrays = 1, [tuple(arrays)]
        elif self.rest is not None:
            arrays = [*arrays[: self.rest], tuple(arrays[self.rest :])]
        plan = self.plans.get(wanted)
        if plan is None:
            plan = self.plans[wanted] = Plan(self, wanted)
        saved = plan.keep((*arrays, *y) if self.named_outputs else (*arrays, y))
        for i in plan.shapes:
            saved += (shape_of(arrays[i]),)

        node = Node()
        node.primitive, node.plan, node.sources, node.saved = self, plan, sources, saved
        node.options = {**self.defaults, **options} if self.defaults else options
        node.site, node.time, node.stop = call_site(), clock.tick(), None
        if self.several:
            node.shape, node.dtype = [np.shape(each) for each in y], [each.dtype for each in y]
            return tuple(like.wrap(each, output_of(node, k)) for k, each in enumerate(y))
        node.shape, node.dtype = y.shape, y.dtype
        return like.wrap(y, node)

    def __get__(self, tensor, kind=None):
        """A primitive in a class body is a method there, as a function would be."""
        return self if tensor is None else MethodType(self, tensor)

    # ---- its derivative -----------------------------------------------------------------------

    def pull(self, node, g, sources) -> list:
        """The inputs' cotangents from the output's, for those whose source is not None."""
        if type(g) is np.ndarray:  # the usual case: one output, and a walk on arrays
            row = (g, *node.saved, *node.options.values()) if node.options else (g, *node.saved)
        else:
            row = self.row(node, self.cotangents(node, g) if self.several else (g,))
        if self.variadic and not self.joint:
            (rule,), (pick,) = self.rules, node.plan.picks
            return [
                None if s is None else self.fit(rule(*pick((i, *row))), s, node)
                for i, s in enumerate(sources)
            ]
        if self.joint:
            (rule,), (pick,) = self.rules, node.plan.picks
            shares = rule(*pick((tuple(s is not None for s in sources), *row)))
            return [
                None if s is None or share is None else self.fit(share, s, node)
                for s, share in zip(sources, shares, strict=True)
            ]
        shares: list = []
        for source, rule, pick in zip(sources, self.rules, node.plan.picks):  # noqa: B905  fewer rules
            if source is None:
                shares.append(None)
                continue
            share = rule(g) if pick is only_first else rule(*pick(row))
            if share.shape != source.shape or share.dtype is not source.dtype:
                share = self.fit(share, source, node)
            shares.append(share)
        shares += [None] * (len(sources) - len(shares))  # indices and the like
        return shares

    def row(self, node, head) -> tuple:
        """Everything a rule may pick from: `head`, what was saved, the options.

        If the walk is on Variables, the saved values become Variables at their own places in the
        graph, so that what the rules do with them is recorded.
        """
        saved = node.saved
        like = next((h for h in flat(head) if h is not None), None)
        if isinstance(like, Variable):
            saved = [placed(like, v, p, node) for v, p in zip(saved, node.plan.places, strict=True)]
        return (*head, *saved, *node.options.values()) if node.options else (*head, *saved)

    def cotangents(self, node, parts: Any) -> tuple:
        """One for each output; zeros for an output that nobody read."""
        like = next(iter(parts.values()))
        gs = [
            parts[k] if k in parts else zeros(shape, dtype, like)
            for k, (shape, dtype) in enumerate(zip(node.shape, node.dtype, strict=True))
        ]
        return tuple(gs) if self.named_outputs else (tuple(gs),)

    def fit(self, share, source, node):
        """A gradient has its input's shape and dtype: broadcasting, promotion are undone here."""
        share = share if isinstance(share, Variable) else np.asarray(share)
        if share.shape != source.shape:
            if not self.broadcasts:
                raise RuntimeError(
                    f"the rule of '{self.name}' gave a cotangent of shape {share.shape} to an "
                    f"input of shape {source.shape} ({describe(node.site)})"
                )
            share = sum_to(share, to=source.shape)
        return share if share.dtype == source.dtype else astype(share, dtype=source.dtype)

    def push(self, node, tangents):
        """The output's tangent from the inputs'."""
        if self.jvp is None:
            return self.transposed_twice(node, tangents)
        known = self.values(node, tangents)
        ts = self.jvp(*[known.get(name) for name in self.jvp_reads])
        return dict(enumerate(ts)) if self.several else like_its_value(ts, node)

    def values(self, node, tangents) -> dict:
        """What a jvp may read, by name: the tangents, what was saved, the options."""
        blank = [None] * len(self.head)
        like = next(t for t in tangents if t is not None)
        row = self.row(node, (like, *blank[1:]))
        known = dict(zip(node.plan.names, row, strict=True))
        return known | {"t": tangents[0], "ts": tuple(tangents)}

    def transposed_twice(self, node, tangents):
        """J·t as the vjp, in u, of the vjp u ↦ Jᵀ·u, which is linear."""
        like = next(t for t in tangents if t is not None)
        sources = [s if t is not None else None for s, t in zip(node.sources, tangents, strict=True)]
        shapes = node.shape if self.several else [node.shape]
        dtypes = node.dtype if self.several else [node.dtype]
        with enable_grad():
            us = {
                k: like.wrap(np.zeros(shape, dtype), Leaf(shape, dtype))
                for k, (shape, dtype) in enumerate(zip(shapes, dtypes, strict=True))
                if dtype.kind in DIFFERENTIABLE
            }
            shares = self.pull(node, us if self.several else us[0], sources)
            reached = [
                (share.origin, t)
                for share, t in zip(shares, tangents, strict=True)
                if share is not None and share.origin is not None
            ]
            found = backpropagate(
                [origin for origin, _ in reached],
                [t for _, t in reached],
                wanted={u.origin for u in us.values()},
            )
        ts = {k: found.get(u.origin) for k, u in us.items()}
        return ts if self.several else ts[0]

    # ---- what the graph, the tables and the pictures ask --------------------------------------

    def place_of(self, k: int):
        """Where the k-th known value stands: the input's number, or the output's, negative."""
        return k if k < len(self.inputs) else ~(k - len(self.inputs))

    def arrays_saved_by(self, node) -> Iterator[np.ndarray]:
        """The arrays that the node's rules will read, those in tuples too."""
        for value in node.saved:
            several = value if isinstance(value, tuple) else (value,)
            yield from (each for each in several if isinstance(each, np.ndarray))

    def __repr__(self):
        return f"<primitive {self.name}({', '.join((*self.inputs, *self.defaults))})>"


class Elementwise(Primitive):
    """Its rules are g · ∂y/∂input. The Jacobian is diagonal, its own transpose: so a tangent goes
    through the very same rules."""

    broadcasts = True

    def push(self, node, tangents):
        picks = node.plan.picks
        terms = [
            self.rules[i](*picks[i](self.row(node, (t,)))) for i, t in enumerate(tangents) if t is not None
        ]
        return like_its_value(total(terms), node)


class Linear(Primitive):
    """Its rule is the adjoint: vjp = adjoint(g), jvp = the operation itself."""

    promotes = False

    def push(self, node, tangents):
        known = self.values(node, tangents)
        others = [known[name] for name in self.inputs[1:]]
        if self.rest is not None:
            others[-1:] = others[-1]
        ts = self(tangents[0], *others, **node.options)
        return dict(enumerate(ts)) if self.several else ts


class Multilinear(Primitive):
    """Linear in each input: jvp = f(ȧ, b) + f(a, ḃ). So the rule of each reads all the others."""

    def push(self, node, tangents):
        known = self.values(node, tangents)
        terms = []
        for name, t in zip(self.inputs, tangents, strict=True):
            if t is not None:
                operands = [t if each == name else known[each] for each in self.inputs]
                terms.append(self(*operands, **node.options))
        return total(terms)


class Update(Primitive):
    """Writes to memory: in-place operators and optimiser steps. Never recorded."""

    promotes = False
    writes = 1  # how many of the inputs, from the first, are written

    def __call__(self, *args, **options):
        interpreters = mode.get()[1]
        if interpreters:
            with switched(interpreters=interpreters[:-1]):
                return interpreters[-1].apply(self, args, options)
        arrays = [a.array if isinstance(a, Variable) else a for a in args]
        loud = floating_point.set(SILENT)
        try:
            self.forward(*arrays, **options)
        finally:
            floating_point.reset(loud)
        for target in arrays[: self.writes]:
            if target is not None:
                note_write(target)
        return args[0]


# ---- the forms of declaration -----------------------------------------------------------------


def elementwise(name, forward, *partials, inputs=None, **traits):
    """A function of each element, and for each input ∂y/∂input: a number, a function of what it reads, or
    None where there is no derivative. A function that reads g is the whole rule, g · ∂y/∂input. The only
    input is called x, several are a, b, c …, unless `inputs` names them."""
    rules = [None if partial is None else times(partial) for partial in partials]
    if inputs is None:
        n = inputs_of(forward)
        n = len(rules) if n is None else n
        if n != len(rules):
            raise TypeError(
                f"{name}: the function takes {counted(n, 'input')}, and there is a rule for {len(rules)}: give ∂y/∂input "
                "for each, None where there is no derivative"
            )
        inputs = names(n)
    return Elementwise(name, forward, inputs, rules, **traits)


def linear_map(name, forward, adjoint, inputs="x", **traits):
    """A linear map of x, and its adjoint. Further inputs, such as indices, have no derivative."""
    rules = [adjoint] + [None] * inputs.count(" ")
    primitive = Linear(name, forward, inputs, rules, **traits)
    missing = set(primitive.inputs[1:]) - set(primitive.reads[0])
    if missing:
        raise TypeError(f"{name}: the adjoint must read {missing}, for the jvp needs it")
    return primitive


def multilinear(name, forward, *rules, inputs="a b", **traits):
    """Linear in each input; a rule for each."""
    return Multilinear(name, forward, inputs, rules, **traits)


def variadic(name, forward, rule, **traits):
    """Any number of inputs `xs`, and the one rule of the i-th."""
    return Primitive(name, forward, "*xs", [rule], **traits)


def general(name, forward, *rules, inputs="x", **traits):
    """Anything else: a vjp for each input. `outputs="values indices"` or "*ys" names several."""
    return Primitive(name, forward, inputs, rules, **traits)


def joint(name, forward, rule, inputs, **traits):
    """Several inputs whose rules share work: one rule, told which are `wanted`, gives a tuple."""
    return Primitive(name, forward, inputs, [rule], joint=True, **traits)


def constant(name, forward, inputs="x", **traits):
    """Locally constant: never recorded."""
    return Primitive(name, forward, inputs, [], **traits)


def update(name, forward, inputs, writes=1, **traits):
    """`forward` writes into the arrays of its first `writes` inputs; never recorded."""
    return Update(name, forward, inputs, [], writes=writes, **traits)


def times(partial) -> Any:
    """The rule g · partial, reading what `partial` reads."""
    if not callable(partial):
        if partial == 1:
            return lambda g: g
        if partial == 0:  # even where g is infinite
            return lambda g: zeros(g.shape, g.dtype, g)
        return (lambda g: -g) if partial == -1 else (lambda g: g * partial)

    reads = parameters(partial)
    if "g" in reads:
        return partial
    if len(reads) == 1:  # nearly all of them; half a call cheaper than the general case

        def by_one(g, read):
            return g * partial(read)

        rule: Any = by_one
    else:

        def by_several(g, *all_read):
            return g * partial(*all_read)

        rule = by_several
    rule.reads = ("g", *reads)
    return rule


# ---- small parts ------------------------------------------------------------------------------


BY_PLACE = ("input", "other")  # what PyTorch calls the first input and the second
PLACES = {"input": 0, "other": 1, "min": 1, "max": 1}  # the second of clamp_min and clamp_max is a bound
BY_NAME = frozenset(PLACES)


def by_place(args, options) -> tuple[tuple, dict]:
    """Inputs given by PyTorch's names, put at their places: mul(a, other=b) as mul(a, b)."""
    options = dict(options)
    for name, place in PLACES.items():
        if name in options:
            if place != len(args):
                raise TypeError(f"'{name}' is the input number {place + 1}, and {len(args)} precede it")
            args = (*args, options.pop(name))
    return args, options


def parameters(rule) -> tuple:
    """The names of what a rule reads."""
    if rule is None:  # an input with no derivative, such as indices
        return ()
    if (reads := getattr(rule, "reads", None)) is not None:
        return reads
    if is_plain(rule):
        code = rule.__code__
        return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return tuple(inspect.signature(rule).parameters)


def options_of(forward) -> dict:
    """The options of a forward, with their defaults: its parameters after the positional ones."""
    if isinstance(forward, np.ufunc):
        return {}
    if is_plain(forward):
        code, defaults = forward.__code__, forward.__kwdefaults__ or {}
        options = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
        return {name: defaults.get(name, inspect.Parameter.empty) for name in options}
    found = inspect.signature(forward).parameters.values()
    return {p.name: p.default for p in found if p.kind is p.KEYWORD_ONLY}


def inputs_of(forward) -> int | None:
    """How many inputs a forward takes; None if that cannot be read from it."""
    if isinstance(forward, np.ufunc):
        return forward.nin
    if not is_plain(forward):
        return None
    return forward.__code__.co_argcount - len(forward.__defaults__ or ())


def names(n: int) -> str:
    """What n inputs are called."""
    return "x" if n == 1 else " ".join(ascii_lowercase[:n])


def counted(n: int, what: str) -> str:
    """1 rule, 2 rules."""
    return f"{n} {what}{'' if n == 1 else 's'}"


def is_plain(function) -> bool:
    """May its parameters be read from its code? A signature costs thirty times as much, and there are hundreds
    of rules."""
    gathering = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS
    return (
        type(function) is FunctionType
        and not hasattr(function, "__wrapped__")
        and not function.__code__.co_flags & gathering
    )


def cotangent_names(outputs, named) -> tuple:
    """What rules call the cotangents of several outputs."""
    return tuple(f"g_{name}" for name in outputs) if named else ("gs",)


def picker(positions) -> Any:
    """row ↦ the tuple of its entries at `positions`. (itemgetter alone gives no 1- or 0-tuple.)"""
    if len(positions) > 1:
        return itemgetter(*positions)
    if not positions:
        return lambda row: ()
    if positions == [0]:
        return only_first
    (p,) = positions
    return lambda row: (row[p],)


def only_first(row) -> tuple:
    return row[:1]


def flat(head) -> Iterator:
    """The cotangents at the head of a row, those in a tuple (`gs`) one by one."""
    for each in head:
        if type(each) is tuple:
            yield from each
        else:
            yield each


def placed(like, value, place, node):
    """A saved value as a Variable at its place in the graph.

    What is no array stays as it is: a shape, or a Python number, which must stay weak.
    """
    if isinstance(value, tuple) and place is not None:  # all inputs, or all outputs
        first = 0 if node.primitive.variadic else place
        places = [first + k if place >= 0 else ~k for k in range(len(value))]
        return tuple(placed(like, v, p, node) for v, p in zip(value, places, strict=True))
    if place is None or not isinstance(value, np.ndarray):
        return value
    if place >= 0:
        return like.wrap(value, node.sources[place])
    return like.wrap(value, output_of(node, ~place) if node.primitive.several else node)


def output_of(node, k):
    """The origin of the k-th output; none for integers, which have no derivative."""
    return Output(node, k) if node.dtype[k].kind in DIFFERENTIABLE else None


def shape_of(a) -> tuple:
    """An input's shape; of the tuple of all inputs, the shape of each."""
    if type(a) is np.ndarray:
        return a.shape
    return tuple(np.shape(each) for each in a) if isinstance(a, tuple) else np.shape(a)


def zeros(shape, dtype, like):
    """Zeros, as an array or a Variable, whichever `like` is."""
    z = np.zeros(shape, dtype)
    return like.wrap(z) if isinstance(like, Variable) else z


def like_its_value(t, node):
    """The tangent t in its value's shape and dtype, even if only an input that was broadcast has a tangent."""
    t = t if t.shape == node.shape else broadcast_to(t, to=node.shape)
    return t if t.dtype == node.dtype else astype(t, dtype=node.dtype)


def total(terms):
    """The sum of at least one term, by +, which records."""
    first, *rest = terms
    for term in rest:
        first = first + term
    return first


def row_major(y):
    """y in row-major order, copied if it lies otherwise: so PyTorch lays out a new result, whatever the order of
    the input."""
    return y if type(y) is not np.ndarray or y.ndim < 2 or y.flags.c_contiguous else np.array(y, order="C")


def copy_of(x) -> np.ndarray:
    """A copy, its dimensions in the order that x has in memory; in row-major order where x repeats elements, and has
    no such order."""
    return np.array(x, order="C" if 0 in x.strides else "K")


def added_in(dtype) -> Any:
    """The dtype in which elements of `dtype` are added up: int64 for integers and booleans; float32 for float16,
    in which a sum of ones stops growing at 2048; None: their own."""
    return np.int64 if dtype.kind in "biu" else np.float32 if dtype.char == "e" else None


MANY = 1 << 16  # so many float32 numbers, added one after the other, have lost several digits
BLOCK = 1 << 8  # rows: the square root of MANY, so that blocks and their sums are about as many


def added(x: np.ndarray, dim, keepdims=False) -> Any:
    """Σ x over `dim`, in the dtype that `added_in` names, float16 rounded once at the end; MANY float32 in blocks."""
    code = x.dtype.char
    if code == "f" and x.size >= MANY and x.ndim > 1 and not (dim is None and x.flags.forc):
        given = range(x.ndim) if dim is None else dim if isinstance(dim, tuple) else (dim,)
        dims = [d % x.ndim for d in given]
        if math.prod(x.shape[d] for d in dims) >= MANY:
            for d in dims:
                x = added_in_blocks(x, d)
            return x if keepdims else x.squeeze(tuple(dims))[()]
    if code == "f" or code == "d":  # the usual case
        return np.add.reduce(x, axis=dim, keepdims=keepdims)
    dtype = added_in(x.dtype)
    y = np.add.reduce(x, axis=dim, keepdims=keepdims, dtype=dtype)
    return y.astype(x.dtype) if dtype is np.float32 else y


def added_in_blocks(x, d):
    """Σ x over dimension d, which stays as one of size 1. Along the dimension that lies in order in memory NumPy
    adds in pairs, along any other one row after the other: there blocks of BLOCK rows are added up first, and
    then their sums, so that errors grow far less."""
    n = x.shape[d]
    if n < 2 * BLOCK or x.strides[d] == x.itemsize:
        return np.add.reduce(x, axis=d, keepdims=True)
    whole = n - n % BLOCK
    head, rest = np.split(x, [whole], axis=d)
    blocks = head.reshape(*x.shape[:d], whole // BLOCK, BLOCK, *x.shape[d + 1 :])
    y = added_in_blocks(np.add.reduce(blocks, axis=d + 1), d)
    return y + np.add.reduce(rest, axis=d, keepdims=True) if n > whole else y


# ---- the three maps that every walk needs: they undo broadcasting and promotion ---------------


def _sum_to(x, *, to):
    """Sum over the axes along which `to` was stretched to x.shape."""
    x = np.asarray(x)
    extra = x.ndim - len(to)
    stretched = tuple(i for i in range(x.ndim) if i < extra or to[i - extra] == 1 != x.shape[i])
    if not stretched:
        return x
    return np.asarray(added(x, stretched, True)).reshape(to)


def broadcast_view(x, to):
    """What np.broadcast_to gives, a read-only view that repeats x; for a single number at a third
    of the cost."""
    if type(x) is not np.ndarray or x.size != 1 or x.dtype.hasobject:
        return np.broadcast_to(x, to)
    y = np.ndarray(to, x.dtype, x, 0, (0,) * len(to))
    y.setflags(write=False)
    return y


def _broadcast_to(x, *, to):
    """x repeated to the shape `to`."""
    return broadcast_view(x, to)


def _astype(x, *, dtype):
    """x with its elements as `dtype`."""
    return in_dtype(np.asarray(x), dtype)


broadcast_to = linear_map("broadcast_to", _broadcast_to, lambda g, x_shape: sum_to(g, to=x_shape), views=True)
sum_to = linear_map("sum_to", _sum_to, lambda g, x_shape: broadcast_to(g, to=x_shape))
astype = linear_map("astype", _astype, lambda g: g)  # `fit` casts the cotangent back
