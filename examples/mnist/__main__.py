"""`python -m examples.mnist`: train; with predict or draw as its first word, use what was trained."""

import sys
from pathlib import Path

if not __package__:  # run as `python examples/mnist`
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

try:
    command = sys.argv[1] if sys.argv[1:] else ""
    if command == "predict":
        from examples.mnist.predict import main
    elif command == "draw":
        from examples.mnist.draw import main
    else:
        from examples.mnist.train import main

    status = main(sys.argv[1 + (command in ("predict", "draw")) :])
except KeyboardInterrupt:  # while all that is imported
    status = 130
sys.exit(status)
