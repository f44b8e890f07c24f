"""`python -m examples.mnist`."""

import sys
from pathlib import Path

if not __package__:  # run as `python examples/mnist`
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

try:
    from examples.mnist.train import main

    status = main()
except KeyboardInterrupt:  # while all that is imported
    status = 130
sys.exit(status)
