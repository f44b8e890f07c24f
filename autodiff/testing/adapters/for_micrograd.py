"""micrograd."""
# pyright: reportMissingImports=false

from __future__ import annotations

from importlib.metadata import version

import micrograd.engine

from .classes import ScalarClass


class Micrograd(ScalarClass):
    """`micrograd.engine.Value`, and nothing else: it is the form that ScalarClass knows."""

    def __init__(self):
        super().__init__(micrograd.engine.Value, micrograd.engine)
        self.name, self.version = "micrograd", version("micrograd")


ENGINE = Micrograd
