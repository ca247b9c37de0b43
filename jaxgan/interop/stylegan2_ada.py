"""Conversion from and to the state dicts of the authors' StyleGAN2-ADA in PyTorch.

Arrays are matched by name: those of `G.state_dict()` or `D.state_dict()` in NVlabs/stylegan2-ada-pytorch, in the
architectures "skip" of the generator and "resnet" of the discriminator, its defaults. The authors' files are pickles of
whole networks, which run code when they are opened: open one with their program, save its state dict, and read that by
`torch.load(path, weights_only=True)`.

Their networks bound the activations of each convolution to ±256 (`conv_clamp`), which these do not.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from flax import traverse_util

from jaxgan.host.errors import UserError, printable
from jaxgan.interop.definition import checked
from jaxgan.models import init
from jaxgan.models.stylegan2 import Discriminator, Generator

Path = tuple[str, ...]

# Axes of their array, in the order of ours.
DENSE = (1, 0)
CONV = (2, 3, 1, 0)
DOUBLING = (2, 3, 0, 1)
CONSTANT = (1, 2, 0)

FILTER = np.outer((1, 3, 3, 1), (1, 3, 3, 1)).astype(np.float32) / 64
"""What smooths pictures and features; their networks keep a copy of it in every layer."""


def import_variables(module: Generator | Discriminator, state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the variables of a StyleGAN2 from a state dict of the same network.

    Args:
      module: the network, such as `models.stylegan2.stylegan2(image_size=256).generator`.
      state_dict: name -> values of each array, as PyTorch's tensors on the host or NumPy arrays.

    Returns:
      Copies as NumPy arrays: {"params": …, "batch_stats": {}}, of a generator also "noise", the fixed noise, and
      "latents", the average style.

    Raises:
      UserError: if an array is missing, unexpected, of the wrong shape or dtype, or not finite, or smooths by another
        filter; the message names it.
    """
    left, found = dict(state_dict), {}
    shapes = _shapes(module)
    for path, name, axes in _names(module):
        if name not in left:
            raise UserError(f"the state dict lacks {name} {_theirs(shapes[path], axes)}")
        array = checked(left.pop(name), name, _theirs(shapes[path], axes))
        found[path] = array.transpose(axes).copy(order="C")
    for name, value in left.items():
        if not str(name).endswith("resample_filter"):
            raise UserError(f"the network has no place for {printable(str(name))}; leave it out of the state dict")
        if not np.allclose(checked(value, name, FILTER.shape), FILTER, atol=1e-6):
            raise UserError(f"{name} is another filter than that of 1, 3, 3, 1")
    return {"batch_stats": {}} | traverse_util.unflatten_dict(found)


def export_state_dict(module: Generator | Discriminator, variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns a state dict that the authors' network loads; the inverse of `import_variables`.

    Args:
      module: the network.
      variables: its variables, arrays of any framework.

    Returns:
      Name -> array (copies) in PyTorch's layout, the filters included.

    Raises:
      UserError: if the variables do not belong to the network; the message names the array.
    """
    left = traverse_util.flatten_dict(dict(variables))
    shapes, exported = _shapes(module), {}
    for path, name, axes in _names(module):
        if path not in left:
            raise UserError(f"the variables lack {'/'.join(path)}, which the network needs")
        array = checked(left.pop(path), "/".join(path), shapes[path])
        exported[name] = array.transpose(np.argsort(axes)).copy(order="C")
    if left:
        raise UserError(f"the network has no {', '.join('/'.join(path) for path in left)}; leave it out")
    return exported | {name: FILTER.copy() for name in _filters(module)}


def _shapes(module: Generator | Discriminator) -> dict[Path, tuple[int, ...]]:
    """Returns the shape of each array here, without computing anything."""
    variables = jax.eval_shape(lambda key: init(module, key), jax.random.key(0))
    return {path: leaf.shape for path, leaf in traverse_util.flatten_dict(variables).items()}


def _theirs(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(shape[place] for place in np.argsort(axes))


def _names(module: Generator | Discriminator) -> Iterator[tuple[Path, str, tuple[int, ...]]]:
    """Yields of each array its path here, its name there, and their axes in our order."""
    return _of_generator(module) if isinstance(module, Generator) else _of_discriminator(module)


def _weighted(path: Path, name: str, axes: tuple[int, ...], *, bias: bool = True) -> Iterator[Any]:
    yield (*path, "kernel"), f"{name}.weight", axes
    if bias:
        yield (*path, "bias"), f"{name}.bias", (0,)


def _mapping(path: Path, layers: int, conditional: bool) -> Iterator[Any]:
    names = ["embed"] * conditional + [f"fc{number}" for number in range(layers)]
    for number, name in enumerate(names):
        yield from _weighted((*path, f"ScaledDense_{number}"), f"mapping.{name}", DENSE)


def _modulated(path: Path, name: str, axes: tuple[int, ...]) -> Iterator[Any]:
    yield from _weighted((*path, "ModulatedConv_0", "ScaledDense_0"), f"{name}.affine", DENSE)
    yield (*path, "ModulatedConv_0", "kernel"), f"{name}.weight", axes
    yield (*path, "bias"), f"{name}.bias", (0,)


def _of_generator(module: Generator) -> Iterator[Any]:
    yield from _mapping(("params", "mapping"), module.mapping_layers, module.condition_dim > 0)
    yield ("latents", "average"), "mapping.w_avg", (0,)
    yield ("params", "constant"), "synthesis.b4.const", CONSTANT
    places = [(side, conv) for side in module.sides for conv in ("conv0", "conv1")][1:]
    for number, (side, conv) in enumerate(places):
        layer, name = f"layers_{number}", f"synthesis.b{side}.{conv}"
        yield from _modulated(("params", layer), name, DOUBLING if conv == "conv0" else CONV)
        yield ("params", layer, "noise_strength"), f"{name}.noise_strength", ()
        yield ("noise", layer, "fixed"), f"{name}.noise_const", (0, 1)
    for number, side in enumerate(module.sides):
        yield from _modulated(("params", f"to_image_{number}"), f"synthesis.b{side}.torgb", CONV)


def _of_discriminator(module: Discriminator) -> Iterator[Any]:
    if not module.residual:
        raise UserError("the discriminator has no residual blocks, and theirs is converted with them alone")
    largest, *_ = sides = module.sides[:0:-1]
    kinds = [f"b{largest}.fromrgb", *(f"b{side}.{kind}" for side in sides for kind in ("conv0", "conv1", "skip"))]
    for number, name in enumerate([*kinds, "b4.conv"]):
        yield from _weighted(("params", f"EqualizedConv_{number}"), name, CONV, bias=not name.endswith("skip"))
    for number, name in enumerate(("b4.fc", "b4.out")):
        yield from _weighted(("params", f"ScaledDense_{number}"), name, DENSE)
    if module.condition_dim:
        yield from _mapping(("params", "MappingNetwork_0"), 8, conditional=True)


def _filters(module: Generator | Discriminator) -> Iterator[str]:
    """Yields the names of the filters that their network keeps."""
    if isinstance(module, Generator):
        for side in module.sides:
            yield f"synthesis.b{side}.resample_filter"
            yield from (f"synthesis.b{side}.{conv}.resample_filter" for conv in ("conv0", "conv1")[side == 4 :])
        return
    largest, *_ = sides = module.sides[:0:-1]
    yield f"b{largest}.fromrgb.resample_filter"
    for side in sides:
        yield f"b{side}.resample_filter"
        yield from (f"b{side}.{kind}.resample_filter" for kind in ("conv0", "conv1", "skip"))
    yield "b4.conv.resample_filter"
