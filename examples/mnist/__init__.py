"""Training on MNIST: `tutorial.py`, the classic program, and `python -m examples.mnist`, the tool."""
