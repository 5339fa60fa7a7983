"""Heedful: training language models to follow instructions with human feedback."""

__version__ = "0.1.0.dev0"
