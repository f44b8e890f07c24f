"""Handwritten digits: `tutorial.py`, the classic program, and `python -m examples.mnist`, a tool."""
