"""Networks whose maps tell the content and the style of a picture, and the weights that they have.

| name             | network                                            | weights                       |
| ---------------- | -------------------------------------------------- | ----------------------------- |
| `random_vgg`     | VGG-19, half as wide                               | random                        |
| `random_filters` | one layer of filters of many sizes                 | random                        |
| `vgg16`, `vgg19` | VGG-16, VGG-19                                     | of ImageNet, in a file        |

Random weights serve if the loss of each layer is divided by its own size, as `style_losses.Objective` does.

Reference:
  He, Wang and Hopcroft, "A Powerful Generative Model Using Random Weights for the Deep Image Representation", 2016;
  Ustyuzhaninov et al., "What Does It Take to Generate Natural Textures?", 2017.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import linen as nn

from jaxgan.host.arrays import parse_arrays
from jaxgan.host.errors import UserError, printable
from jaxgan.models import random_filters, vgg

RANDOM = ("random_filters", "random_vgg")
FROM_FILE = ("vgg16", "vgg19")
NAMES = (*RANDOM, *FROM_FILE)

Maps = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class FeatureMaps:
    """A network whose layers give maps of pictures.

    Attributes:
      name: what it is, for the reader.
      apply: (variables, pictures (N, H, W, C) in [−1, 1], layers) -> the maps of these layers, (N, h, w, c) by name.
      variables: () -> its variables; read or drawn when they are first asked for.
      layers: all that it has.
      content: the layers that usually tell the content of a picture.
      style: the layers that usually tell its style.
    """

    name: str
    apply: Callable[[Any, jax.Array, tuple[str, ...]], Maps]
    variables: Callable[[], Any]
    layers: tuple[str, ...]
    content: tuple[str, ...]
    style: tuple[str, ...]

    def chosen(self, text: str | None, default: tuple[str, ...], flag: str) -> tuple[str, ...]:
        """Returns the layers that a text lists, with commas between them; None: the default ones.

        Raises:
          UserError: for a layer that there is not; it names the flag.
        """
        if text is None:
            return default
        asked = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
        unknown = [layer for layer in asked if layer not in self.layers]
        if unknown or not asked:
            raise UserError(
                f"--{flag}={printable(text)}: {self.name} has the layers {', '.join(self.layers)}; give some of them"
            )
        return asked


def build(
    name: str,
    image_shape: tuple[int, int, int],
    *,
    width: int | None = None,
    pool: str = "average",
    seed: int = 0,
    weights: str | Path | None = None,
    sha256: str | None = None,
    dtype: Any = None,
) -> FeatureMaps:
    """Builds a feature network.

    Args:
      name: one of `NAMES`.
      image_shape: (H, W, C) of the pictures: random weights are drawn for C channels, and filters are at most half as
        large as the pictures.
      width: channels of the first block of a random VGG (default 32), or random filters of each size (default 32); the
        sources have 64 and 128.
      pool: "average" or "max", of VGG networks.
      seed: of random weights.
      weights: of `vgg16` and `vgg19`: a .npz or .safetensors file of torchvision's arrays; see `vgg.from_torchvision`.
      sha256: hexadecimal sha256 that the file must have; None: any.
      dtype: compute dtype; None: that of the pictures.

    Raises:
      UserError: for an unknown name or options that contradict it; and by `variables`, for weights that are missing or
        of no use.
    """
    if name in RANDOM and weights is not None:
        raise UserError(
            f"--feature_weights: {name} has random weights; leave it out, or choose {' or '.join(FROM_FILE)}"
        )
    if name == "random_filters":
        return _random_filters(image_shape, width or 32, seed, dtype)
    if name == "random_vgg":
        return _random_vgg(image_shape, width or 32, pool, seed, dtype)
    if name not in FROM_FILE:
        raise UserError(f"--features={printable(name)}: there is no such network; choose one of {', '.join(NAMES)}")
    if width is not None:
        raise UserError(f"--feature_width: {name} has the width of its weights; leave it out")
    return _from_file(name, image_shape, pool, weights, sha256, dtype)


def _random_filters(image_shape: tuple[int, int, int], width: int, seed: int, dtype: Any) -> FeatureMaps:
    layers = tuple(f"filters{size}" for size in random_filters.sizes_for(min(image_shape[:2])))
    module = functools.partial(random_filters.RandomFilters, features=width, dtype=dtype)
    variables = _random_variables(module(taps=layers), image_shape, seed)
    name = f"{width} random filters of each of {len(layers)} sizes"
    return FeatureMaps(name, functools.partial(_apply, module), variables, layers, layers[:1], layers)


def _random_vgg(image_shape: tuple[int, int, int], width: int, pool: str, seed: int, dtype: Any) -> FeatureMaps:
    layers = _fitting(vgg.layer_names(19), min(image_shape[:2]))
    module = functools.partial(vgg.VGG, depth=19, pool=pool, width=width, dtype=dtype)
    variables = _random_variables(module(taps=layers[-1:]), image_shape, seed)
    style = tuple(layer for layer in layers if layer.startswith("relu") and layer.endswith("_1"))
    content = style[min(2, len(style) - 1)]
    name = f"a random VGG-19 of width {width}"
    return FeatureMaps(name, functools.partial(_apply, module), variables, layers, (content,), style)


def _from_file(
    name: str,
    image_shape: tuple[int, int, int],
    pool: str,
    weights: str | Path | None,
    sha256: str | None,
    dtype: Any,
) -> FeatureMaps:
    depth = int(name.removeprefix("vgg"))
    module = functools.partial(vgg.VGG, depth=depth, pool=pool, dtype=dtype)
    names = _fitting(vgg.layer_names(depth), min(image_shape[:2]))
    content, style = {
        16: ("relu2_2", ("relu1_2", "relu2_2", "relu3_3", "relu4_3")),  # of Johnson et al.
        19: ("relu4_2", ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")),  # of Gatys et al.
    }[depth]
    style = tuple(layer for layer in style if layer in names)

    def apply(variables: Any, x: jax.Array, layers: tuple[str, ...]) -> Maps:
        return _apply(module, variables, vgg.as_torchvision_sees(x), layers)

    return FeatureMaps(
        f"VGG-{depth}",
        apply,
        functools.cache(lambda: read_vgg(weights, depth, sha256)),
        names,
        (content if content in names else style[-1],),
        style,
    )


def read_vgg(weights: str | Path | None, depth: int, sha256: str | None = None) -> dict[str, Any]:
    """Reads the variables of a VGG network from a .npz or .safetensors file; see `vgg.from_torchvision`.

    Raises:
      UserError: if the file is missing, has another sha256, or does not hold this network.
    """
    if weights is None:
        raise UserError(
            f"--features=vgg{depth}: needs its weights; name a .npz or .safetensors file by --feature_weights"
        )
    path = Path(weights)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"--feature_weights={printable(path)}: cannot be read ({error.strerror})") from error
    digest = hashlib.sha256(data).hexdigest()
    if sha256 is not None and digest != sha256.lower():
        raise UserError(
            f"--feature_weights={printable(path)}: has the sha256 {digest}, not {printable(sha256)}; get the right file"
        )
    try:
        arrays = _safetensors(data) if path.suffix == ".safetensors" else parse_arrays(data)
        return vgg.from_torchvision(arrays, depth)
    except ValueError as error:
        raise UserError(
            f"--feature_weights={printable(path)}: does not hold torchvision's VGG-{depth} ({error})"
        ) from error


def _safetensors(data: bytes) -> Mapping[str, np.ndarray]:
    try:
        from safetensors import numpy as library
    except ModuleNotFoundError:
        raise ValueError("safetensors is not installed: pip install 'jaxgan[export]', or give a .npz file") from None
    try:
        arrays: Mapping[str, np.ndarray] = library.load(data)
    except Exception as error:
        raise ValueError(f"no safetensors file: {printable(error)}") from error
    return arrays


def _apply(module: Callable[..., nn.Module], variables: Any, x: jax.Array, layers: tuple[str, ...]) -> Maps:
    maps: Any = module(taps=layers).apply(variables, x)
    return maps


def _random_variables(module: nn.Module, image_shape: tuple[int, int, int], seed: int) -> Callable[[], Any]:
    """Returns () -> random variables: kernels N(0, 2 / inputs), which keep maps alive under ReLUs, and no biases.

    NumPy draws them: they are constants of a training step, which is traced, and no part of it.
    """

    @functools.cache
    def variables() -> Any:
        x = jax.ShapeDtypeStruct((1, *image_shape), np.float32)
        shapes = jax.eval_shape(module.init, jax.random.key(0), x)
        random = np.random.Generator(np.random.PCG64(seed))

        def drawn(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
            if len(leaf.shape) == 1:
                return np.zeros(leaf.shape, np.float32)
            std = np.sqrt(2.0 / np.prod(leaf.shape[:-1]))
            return (std * random.standard_normal(leaf.shape)).astype(np.float32)

        return jax.tree.map(drawn, shapes)

    return variables


def _fitting(names: tuple[str, ...], side: int) -> tuple[str, ...]:
    """Returns the layers down to the last that a picture of this side has pixels in."""
    halvings = max(side, 1).bit_length() - 1
    pools = [name for name in names if name.startswith("pool")]
    return names if halvings >= len(pools) else names[: names.index(pools[halvings])]
