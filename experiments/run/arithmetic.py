"""Arithmetic on latents: glasses are what pictures with glasses have and those without have not.

A term is the mean of the latents of a few samples, which share what is meant and differ in all else. Terms are added
and subtracted, and the result is drawn, with others near to it.

Reference:
  Radford et al., "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks", 2016,
  section 6.3.2.
"""

import jax
import jax.numpy as jnp
import numpy as np

from experiments.run.restore import TrainedRun
from jaxgan.host.errors import UserError
from jaxgan.systems.outputs import Exhibit

NEARNESS = 0.25  # of the noise about the result, as in the source
MOST = 9_999  # the largest number of a sample, and thus of the latents that are drawn

Term = tuple[int, ...]


def parse(flag: str, text: str | None) -> tuple[Term, ...]:
    """Reads terms: numbers of samples with commas between them, terms with spaces between them; None: no term.

    Raises:
      UserError: for anything else.
    """
    if text is None:
        return ()
    try:
        terms = tuple(tuple(int(number) for number in term.split(",")) for term in text.split())
    except ValueError:
        terms = ()
    if not terms or any(not 0 <= number <= MOST for term in terms for number in term):
        raise UserError(
            f'--{flag}={text}: write numbers of samples, from 0 to {MOST:,}, as in --{flag}="3,17,40 5,8,21", two terms'
        )
    return terms


def check(plus: tuple[Term, ...], minus: tuple[Term, ...]) -> None:
    """Raises a UserError for terms that cannot be shown together."""
    if not plus:
        raise UserError("--plus: --show=arithmetic needs one; name samples by their numbers, as in --plus=3,17,40")
    if len({len(term) for term in (*plus, *minus)}) > 1:
        raise UserError("--plus: give all terms, also those of --minus, as many samples")


def show(
    run: TrainedRun, z: jax.Array, labels: np.ndarray | None, plus: tuple[Term, ...], minus: tuple[Term, ...], seed: int
) -> Exhibit:
    """Shows a row for each term, its mean before its samples, and a row of the result before others near to it.

    Args:
      run: a run that draws from latents.
      z: latents of all samples, (n, latent_dim); the terms name rows of them.
      labels: the condition of all pictures, (n, c), each the same; None without conditions.
      plus: what is added.
      minus: what is subtracted.
      seed: of the noise about the result.
    """
    terms = [(1, term) for term in plus] + [(-1, term) for term in minus]
    means = jnp.stack([z[jnp.array(term)].mean(axis=0) for _, term in terms])
    signs = jnp.array([sign for sign, _ in terms], z.dtype)
    result = signs @ means
    beside = NEARNESS * run.latent.latents(jax.random.fold_in(jax.random.key(seed), 1), len(terms[0][1]))
    rows = [jnp.concatenate([mean[None], z[jnp.array(term)]]) for mean, (_, term) in zip(means, terms, strict=True)]
    points = jnp.concatenate([*rows, result[None], result + beside])
    chosen = None if labels is None else np.repeat(labels[:1], len(points), axis=0)
    pictures = run.latent.images(run.state, points, chosen)
    captions = [f"{'+' if sign > 0 else '-'} {', '.join(map(str, term))}" for sign, term in terms]
    return Exhibit(
        pictures,
        np.zeros((len(pictures), 0), np.uint8) if chosen is None else chosen,
        columns=len(rows[0]),
        apart=1,
        rows=(*captions, "result"),
        heads=("mean", *[""] * (len(rows[0]) - 1)),
    )
