"""Transforms made of transforms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autodiff.random import source


def supports_batch(transform: Any) -> bool:
    """Can it do a whole batch at once?"""
    return getattr(transform, "supports_batch", False)


class Compose:
    """The given transforms, one after the other."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]):
        self.transforms = transforms

    def __call__(self, img: Any) -> Any:
        for transform in self.transforms:
            img = transform(img)
        return img

    @property
    def supports_batch(self) -> bool:
        """Can all of them do a whole batch at once?"""
        return all(map(supports_batch, self.transforms))

    def on_batch(self, x: Any) -> Any:
        """The same, of all samples at once."""
        transforms: Any = self.transforms
        for transform in transforms:
            x = transform.on_batch(x)
        return x

    def __repr__(self):
        inside = "".join(f"\n    {transform}" for transform in self.transforms)
        return f"Compose({inside}\n)"


class Lambda:
    """Any function of one sample, as a transform."""

    def __init__(self, lambd: Callable[[Any], Any]):
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__}")
        self.lambd = lambd

    def __call__(self, img: Any) -> Any:
        return self.lambd(img)

    def __repr__(self):
        return "Lambda()"


class RandomApply:
    """The given transforms one after the other, with probability p; else none of them."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], p: float = 0.5):
        self.transforms, self.p = transforms, p

    def __call__(self, img: Any) -> Any:
        return Compose(self.transforms)(img) if source(None).random() < self.p else img

    def __repr__(self):
        inside = "".join(f"\n    {transform}" for transform in self.transforms)
        return f"RandomApply(\n    p={self.p}{inside}\n)"


class RandomChoice:
    """One of the given transforms; `p` are their weights, if not equal."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], p: Sequence[float] | None = None):
        if not isinstance(transforms, Sequence):
            raise TypeError("Argument transforms should be a sequence")
        if p is not None and not isinstance(p, Sequence):
            raise TypeError("Argument p should be a sequence")
        if p is not None and len(p) != len(transforms):
            raise ValueError(f"there are {len(transforms)} transforms, but {len(p)} weights")
        self.transforms, self.p = transforms, p

    def __call__(self, img: Any) -> Any:
        shares = None if self.p is None else [weight / sum(self.p) for weight in self.p]
        return self.transforms[int(source(None).choice(len(self.transforms), p=shares))](img)

    def __repr__(self):
        inside = "".join(f"\n    {transform}" for transform in self.transforms)
        return f"RandomChoice({inside}\n)(p={self.p})"


class RandomOrder:
    """The given transforms, in a random order."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]):
        if not isinstance(transforms, Sequence):
            raise TypeError("Argument transforms should be a sequence")
        self.transforms = transforms

    def __call__(self, img: Any) -> Any:
        for k in source(None).permutation(len(self.transforms)):
            img = self.transforms[k](img)
        return img

    def __repr__(self):
        inside = "".join(f"\n    {transform}" for transform in self.transforms)
        return f"RandomOrder({inside}\n)"
