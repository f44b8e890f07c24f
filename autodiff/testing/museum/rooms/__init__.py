"""The exhibits, by room; importing a room puts its exhibits on show, in this order."""

from . import walk  # noqa: I001
from . import memory
from . import elementwise
from . import reductions
from . import shapes
from . import contractions
from . import orders
from . import networks
