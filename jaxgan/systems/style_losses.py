"""Losses of content and of style, on the maps of a feature network, and the total variation of pictures.

gram = style_losses.gram_matrix(maps)                     # (N, H, W, C) -> (N, C, C)
loss = style_losses.style_loss(gram, gram_of_the_style)   # pure functions, in float32 or wider

Sources weigh and divide these in ways of their own, so that the weights of one are of no use with another. Here a Gram
matrix is divided by H·W·C, and the losses are means of squares. `relative` divides each by its value for an empty
picture besides: weights then mean the same for all layers and all feature networks, also for random ones.

Reference:
  Gatys, Ecker and Bethge, "Image Style Transfer Using Convolutional Neural Networks", 2016; Johnson, Alahi and Fei-Fei,
  "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", 2016, whose Gram matrices these are.
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jaxgan.models.feature_maps import FeatureMaps

Maps = Mapping[str, jax.Array]

EPSILON = 1e-12  # of a divisor, for layers that are silent


def gram_matrix(maps: jax.Array) -> jax.Array:
    """Computes how often each two channels are active together, wherever in the picture.

    Args:
      maps: (N, H, W, C).

    Returns:
      (N, C, C), sums over the places of products of two channels, divided by H·W·C.

    Raises:
      ValueError: for another number of axes.
    """
    if maps.ndim != 4:
        raise ValueError(f"maps must have the shape (N, H, W, C), not {maps.shape}")
    flat = _wide(maps).reshape(maps.shape[0], -1, maps.shape[-1])
    return jnp.einsum("npi,npj->nij", flat, flat) / (flat.shape[1] * flat.shape[2])


def content_loss(maps: jax.Array, target: jax.Array, *, relative: bool = False) -> jax.Array:
    """Computes the mean squared difference of maps from those of the content picture.

    Args:
      maps: (N, H, W, C).
      target: of the same shape.
      relative: whether to divide that of each picture by the mean square of its target.
    """
    _check_alike(maps, target)
    return _mean_square(_wide(maps) - _wide(target), target, relative)


def style_loss(gram: jax.Array, target: jax.Array, *, relative: bool = False) -> jax.Array:
    """Computes the mean squared difference of Gram matrices from that of the style picture.

    Args:
      gram: (N, C, C).
      target: (N, C, C), or (1, C, C) of one style for all.
      relative: whether to divide by the mean square of the target: 0 for equal matrices, 1 for an empty picture.

    Reference:
      The relative one is the measure of Ustyuzhaninov et al., "What Does It Take to Generate Natural Textures?", 2017.
    """
    target = jnp.broadcast_to(target, (gram.shape[0], *target.shape[1:]))
    _check_alike(gram, target)
    return _mean_square(_wide(gram) - _wide(target), target, relative)


def total_variation(images: jax.Array) -> jax.Array:
    """Computes the mean squared difference of pixels from their right neighbours, plus that from their lower ones.

    Args:
      images: (N, H, W, C), H and W at least 2.

    Reference:
      Mahendran and Vedaldi, "Understanding Deep Image Representations by Inverting Them", 2015, with β = 2.
    """
    images = _wide(images)
    right, below = images[:, :, 1:] - images[:, :, :-1], images[:, 1:] - images[:, :-1]
    return jnp.mean(jnp.square(right)) + jnp.mean(jnp.square(below))


@dataclasses.dataclass(frozen=True)
class Objective:
    """What a picture in a style is to be like.

    Attributes:
      content_layers: whose maps are to be those of the content picture.
      style_layers: whose Gram matrices are to be those of the style picture.
      content_weight: of the sum of the content losses.
      style_weight: of the sum of the style losses.
      total_variation: weight of the total variation.
      relative: whether the loss of each layer is divided by its value for an empty picture.
    """

    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]
    content_weight: float = 1.0
    style_weight: float = 1.0
    total_variation: float = 0.0
    relative: bool = True

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that are looked at."""
        return tuple(dict.fromkeys((*self.content_layers, *self.style_layers)))

    def content_of(self, features: FeatureMaps, variables: object, images: jax.Array) -> Maps:
        """Returns the maps of content pictures (N, H, W, C) in [−1, 1], by layer."""
        return features.apply(variables, images, self.content_layers)

    def style_of(self, features: FeatureMaps, variables: object, images: jax.Array) -> Maps:
        """Returns the Gram matrices of style pictures (N, H, W, C) in [−1, 1], by layer."""
        maps = features.apply(variables, images, self.style_layers)
        return {layer: gram_matrix(maps[layer]) for layer in self.style_layers}

    def __call__(self, maps: Maps, images: jax.Array, content: Maps, style: Maps) -> tuple[jax.Array, Maps]:
        """Computes what is minimised, and its terms without their weights.

        Args:
          maps: of the pictures, by layer.
          images: the pictures, (N, H, W, C) in [−1, 1].
          content: from `content_of`.
          style: from `style_of`.

        Returns:
          The weighted sum, and "content", "style" and "total_variation".
        """
        of_content = [content_loss(maps[name], content[name], relative=self.relative) for name in self.content_layers]
        grams = {name: gram_matrix(maps[name]) for name in self.style_layers}
        of_style = [style_loss(grams[name], style[name], relative=self.relative) for name in self.style_layers]
        terms = {
            "content": jnp.sum(jnp.stack(of_content)),
            "style": jnp.sum(jnp.stack(of_style)),
            "total_variation": total_variation(images),
        }
        total = self.content_weight * terms["content"] + self.style_weight * terms["style"]
        if self.total_variation:
            total += self.total_variation * terms["total_variation"]
        return total, terms


def _mean_square(difference: jax.Array, target: jax.Array, relative: bool) -> jax.Array:
    each = jnp.mean(jnp.square(difference), axis=tuple(range(1, difference.ndim)))
    if relative:
        each /= jnp.mean(jnp.square(_wide(target)), axis=tuple(range(1, target.ndim))) + EPSILON
    return jnp.mean(each)


def _check_alike(one: jax.Array, other: jax.Array) -> None:
    if one.shape != other.shape:
        raise ValueError(f"shapes differ: {one.shape} and {other.shape}")


def _wide(array: jax.Array) -> jax.Array:
    return array.astype(jnp.promote_types(array.dtype, jnp.float32))
