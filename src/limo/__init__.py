"""LIMO: a small, hard, well-reasoned set of examples, chosen with evidence, trained on, and proved by measurement."""

__version__ = "0.1.0"
