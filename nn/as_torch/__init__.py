"""PyTorch programs, unmodified: their `torch` and `torchvision` are answered from autodiff and nn.

    python -m nn.as_torch PROGRAM.py [arguments]

    answers   which of our packages answers for which of PyTorch's modules, and the import finder
    machine   what PyTorch says about devices and back ends: there is the CPU
    extras    names of torch itself that mean something only beside it: compile, dtype, `out=`
    legacy    PyTorch's older spellings: Variable and its like
    files     torch.save and torch.load, in files that run nothing when they are read
    running   a program run as `python PROGRAM.py` would

Ours answer even where PyTorch is installed. docs/from-pytorch.md says what is answered and what is
refused.
"""

from .answers import installed
from .running import run

__all__ = ["installed", "run"]
