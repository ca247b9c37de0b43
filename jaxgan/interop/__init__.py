"""Conversion of weights from and to other frameworks, as plain arrays, and of networks into programs.

This package neither imports PyTorch or Keras, nor opens files, nor unpickles anything. The caller reads the weights in
a trusted way, such as `torch.load(path, weights_only=True)`, and passes plain arrays.
"""

from jaxgan.interop import keras, onnx, programs, safetensors, stablehlo, stylegan2_ada, torch

__all__ = ["keras", "onnx", "programs", "safetensors", "stablehlo", "stylegan2_ada", "torch"]
