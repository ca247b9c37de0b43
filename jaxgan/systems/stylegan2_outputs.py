"""What a StyleGAN2 can be asked for: samples nearer to the average, mixed styles, ways between styles, other noise."""

import dataclasses
import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.models.inference import chunk_of
from jaxgan.ops import pixels
from jaxgan.systems.adversarial import GANState
from jaxgan.systems.outputs import Exhibit, LatentOutput

COLUMNS = 8  # pictures in a row of an exhibit
PSIS = (1.0, 0.7, 0.5, 0.3, 0.0)
KINDS = ("coarse", "middle", "fine")
NOISES = 32  # draws of noise that a deviation is of


@dataclasses.dataclass(frozen=True)
class StyledLatentOutput(LatentOutput):
    """Pictures drawn from latents by way of styles."""

    def with_psi(self, psi: float, layers: int | None = None) -> "StyledLatentOutput":
        """Returns the output whose styles are drawn to this share of their way from the average one.

        Args:
          psi: the share; 1 leaves them as they are.
          layers: number of layers that this is done in, the coarsest first; None: all.
        """
        return dataclasses.replace(self, network=self.network.clone(psi=psi, cutoff=layers))

    def styles(self, state: Any, z: jax.Array, condition: Any = None) -> jax.Array:
        """Maps latents (N, latent_dim), and conditions, to the styles of each layer, (N, styles, latent_dim)."""
        return _styles(self.network, self.variables(state), z, condition)

    def single_styles(self, state: Any, z: jax.Array, condition: Any = None) -> jax.Array:
        """Maps latents (N, latent_dim), and conditions, to styles (N, latent_dim), not drawn to the average."""
        return _single_styles(self.network, self.variables(state), z, condition)

    def for_layers(self, state: Any, w: jax.Array) -> jax.Array:
        """Repeats styles (N, latent_dim) for each layer, drawn to the average: (N, styles, latent_dim)."""
        ws: Any = self.network.apply(self.variables(state), w, method="truncated")
        return jnp.asarray(ws)

    def images_under_noise(self, state: Any, ws: jax.Array, key: jax.Array) -> np.ndarray:
        """Draws pictures, uint8 (N, H, W, C), from styles (N, styles, latent_dim), each with noise of its own."""
        variables, most = self.variables(state), chunk_of(self.network)
        parts = [
            _draw_noisy(self.network, variables, ws[first : first + most], jax.random.fold_in(key, first))
            for first in range(0, len(ws), most)
        ]
        return np.concatenate([np.asarray(part) for part in parts])

    def images_of_styles(self, state: Any, ws: jax.Array) -> np.ndarray:
        """Draws pictures, uint8 (N, H, W, C), from styles (N, styles, latent_dim)."""
        variables = self.variables(state)
        most = chunk_of(self.network)
        parts = [_draw(self.network, variables, ws[first : first + most]) for first in range(0, len(ws), most)]
        return np.concatenate([np.asarray(part) for part in parts])


@functools.partial(jax.jit, static_argnums=0)
def _styles(network: Any, variables: Any, z: jax.Array, condition: Any) -> jax.Array:
    given = None if condition is None else jnp.asarray(condition, jnp.float32)
    ws: jax.Array = network.apply(variables, network.apply(variables, z, given, method="map"), method="truncated")
    return ws


@functools.partial(jax.jit, static_argnums=0)
def _single_styles(network: Any, variables: Any, z: jax.Array, condition: Any) -> jax.Array:
    given = None if condition is None else jnp.asarray(condition, jnp.float32)
    w: jax.Array = network.apply(variables, z, given, method="map")
    return w


@functools.partial(jax.jit, static_argnums=0)
def _draw_noisy(network: Any, variables: Any, ws: jax.Array, key: jax.Array) -> jax.Array:
    noise = tuple(
        jax.random.normal(jax.random.fold_in(key, layer), (len(ws), side, side))
        for layer, side in enumerate(network.noise_sides)
    )
    return pixels.quantize(network.apply(variables, ws, noise, method="synthesize"))


@functools.partial(jax.jit, static_argnums=0)
def _draw(network: Any, variables: Any, ws: jax.Array) -> jax.Array:
    return pixels.quantize(network.apply(variables, ws, method="synthesize"))


def layers_of_kinds(styles: int) -> tuple[slice, ...]:
    """Divides the layers into coarse, middle and fine ones: thirds, of which the coarse ones are the largest."""
    ends = [0, *(-(-styles * third // 3) for third in (1, 2, 3))]
    return tuple(slice(first, last) for first, last in itertools.pairwise(ends))


Conditions = Callable[[int], np.ndarray]
"""Number of pictures -> their conditions, uint8 (N, c), of a generator that takes some."""


def show_mixing(
    latent: StyledLatentOutput, conditions: Conditions | None, state: GANState, count: int, seed: int
) -> Exhibit:
    """Shows what the coarse, the middle and the fine styles do.

    Each set of rows has a picture at the left, and beside it others: as they are, and below with its coarse, its middle
    and its fine styles.

    Args:
      latent: of the system.
      conditions: of the latents; None without.
      state: of the system.
      count: about how many pictures; rounded down to whole sets, one at least.
      seed: of the latents.
    """
    rows, others = 1 + len(KINDS), COLUMNS - 1
    sets = max(1, count // (rows * COLUMNS))
    z = latent.latents(jax.random.key(seed), sets + others)
    ws = latent.styles(state, z, conditions and conditions(len(z)))
    sources, own = ws[:sets], ws[sets:]
    table = []
    for source in sources:
        table += [source[None], own]
        for layers in layers_of_kinds(ws.shape[1]):
            table += [source[None], own.at[:, layers].set(source[layers])]
    return Exhibit(
        latent.images_of_styles(state, jnp.concatenate(table)),
        np.zeros((sets * rows * COLUMNS, 0), np.uint8),
        COLUMNS,
        apart=1,
        together=rows,
        rows=("as they are", *(f"its {kind} styles" for kind in KINDS)),
    )


def show_truncation(
    latent: StyledLatentOutput, conditions: Conditions | None, state: GANState, count: int, seed: int
) -> Exhibit:
    """Shows latents in columns, their styles nearer to the average from row to row; arguments as of `show_mixing`."""
    sets = max(1, count // (len(PSIS) * COLUMNS))
    z = latent.latents(jax.random.key(seed), sets * COLUMNS)
    chosen = conditions and conditions(len(z))
    drawn = np.stack([latent.with_psi(psi).images(state, z, chosen) for psi in PSIS], axis=1)
    drawn = drawn.reshape(sets, COLUMNS, len(PSIS), *drawn.shape[2:]).swapaxes(1, 2)
    return Exhibit(
        drawn.reshape(-1, *drawn.shape[3:]),
        np.zeros((sets * COLUMNS * len(PSIS), 0), np.uint8),
        COLUMNS,
        together=len(PSIS),
        rows=tuple(f"psi = {psi:g}" for psi in PSIS),  # Pillow's font has no ψ
    )


def show_styles(
    latent: StyledLatentOutput, conditions: Conditions | None, state: GANState, count: int, seed: int
) -> Exhibit:
    """Shows straight ways between the styles of two latents, one in a row; arguments as of `show_mixing`."""
    rows = max(1, count // COLUMNS)
    z = latent.latents(jax.random.key(seed), 2 * rows)
    ws = latent.styles(state, z, conditions and conditions(len(z)))
    shares = jnp.linspace(0.0, 1.0, COLUMNS)[None, :, None, None]
    ways = ws[0::2, None] + shares * (ws[1::2] - ws[0::2])[:, None]
    drawn = latent.images_of_styles(state, ways.reshape(-1, *ws.shape[1:]))
    return Exhibit(drawn, np.zeros((len(drawn), 0), np.uint8), COLUMNS)


def show_noise(
    latent: StyledLatentOutput, conditions: Conditions | None, state: GANState, count: int, seed: int
) -> Exhibit:
    """Shows what the noise of the layers decides; arguments as of `show_mixing`.

    A row has a face with the fixed noise, the same with other noise, and the standard deviation of each pixel over
    NOISES draws: the mean over the channels, black where nothing changes, white at the largest of the exhibit.

    Reference:
      Karras et al., "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019, figure 4.
    """
    rows = max(1, count // COLUMNS)
    z = latent.latents(jax.random.key(seed), rows)
    ws = latent.styles(state, z, conditions and conditions(rows))
    keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), 1), rows)
    drawn = np.stack(
        [
            latent.images_under_noise(state, jnp.repeat(w[None], NOISES, axis=0), key)
            for w, key in zip(ws, keys, strict=True)
        ]
    )
    deviation = drawn.std(axis=1).mean(axis=-1, keepdims=True)
    largest = float(deviation.max())
    white = np.rint(deviation * (255.0 / max(largest, 1e-6))).astype(np.uint8)
    maps = np.broadcast_to(white, (rows, *drawn.shape[2:]))
    faces = latent.images_of_styles(state, ws)
    table = np.concatenate([faces[:, None], drawn[:, : COLUMNS - 2], maps[:, None]], axis=1)
    return Exhibit(
        table.reshape(-1, *drawn.shape[2:]),
        np.zeros((rows * COLUMNS, 0), np.uint8),
        COLUMNS,
        apart=1,
        heads=("fixed noise", *["other noise"] * (COLUMNS - 2), f"deviation, white {largest / 127.5:.2g}"),
    )
