"""Generative adversarial networks for JAX and Flax, as pure functions of arrays and keys."""

__version__ = "0.1.0"
