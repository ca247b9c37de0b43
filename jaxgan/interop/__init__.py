"""Weights from and to other frameworks: arrays in, arrays out.

Neither PyTorch nor Keras is imported, no file is opened and nothing is unpickled here: the caller reads the weights in
a way that they trust, such as `torch.load(path, weights_only=True)`, and passes plain arrays on.
"""

from jaxgan.interop import keras, torch

__all__ = ["keras", "torch"]
