"""Arithmetic on latents: glasses are what pictures with glasses have and those without have not.

A term is the mean of the latents of a few samples, which share what is meant and differ in all else. Terms are added
and subtracted, and the result is drawn, with others near to it. Instead of samples a term may name a class or a tag of
the data, such as "blue hair": it is then the mean of the samples that a classifier is surest of.

Reference:
  Radford et al., "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks", 2016,
  section 6.3.2.
"""

import difflib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from experiments.run.feature_network import feature_network_of
from experiments.run.restore import TrainedRun
from jaxgan.data.heads import Head
from jaxgan.host.errors import UserError, printable
from jaxgan.systems.outputs import Exhibit

NEARNESS = 0.25  # of the noise about the result, as in the source
MOST = 9_999  # the largest number of a sample, and thus of the latents that are drawn

OF_A_NAME = 3  # samples of a term that is named, as in the source
LOOKED_AT = 256  # samples among which they are looked for

Term = tuple[int, ...]


def parse(flag: str, text: str | None) -> tuple[Term | str, ...]:
    """Reads terms; None: no term.

    Either numbers of samples with commas between them, and spaces between the terms, or names with semicolons between
    them.

    Raises:
      UserError: for anything else.
    """
    if text is None:
        return ()
    if any(character.isalpha() for character in text):
        return tuple(name.strip() for name in text.split(";") if name.strip())
    try:
        terms = tuple(tuple(int(number) for number in term.split(",")) for term in text.split())
    except ValueError:
        terms = ()
    if not terms or any(not 0 <= number <= MOST for term in terms for number in term):
        raise UserError(
            f'--{flag}={text}: write numbers of samples, from 0 to {MOST:,}, as in --{flag}="3,17,40 5,8,21", two'
            f' terms, or tags, as in --{flag}="blue hair"'
        )
    return terms


def check(plus: tuple[Term | str, ...], minus: tuple[Term | str, ...]) -> None:
    """Raises a UserError for terms that cannot be shown together."""
    if not plus:
        raise UserError("--plus: --show=arithmetic needs one; name samples by their numbers, as in --plus=3,17,40")
    if len({OF_A_NAME if isinstance(term, str) else len(term) for term in (*plus, *minus)}) > 1:
        raise UserError(
            f"--plus: give all terms, also those of --minus, as many samples; a term that is a name has {OF_A_NAME}"
        )


def tell(run: TrainedRun, z: jax.Array, labels: np.ndarray | None) -> tuple[tuple[Head, ...], np.ndarray]:
    """Returns what the run's feature network tells of the first samples: its heads, and logits (n, classes).

    Args:
      run: a run that draws from latents.
      z: latents of the samples.
      labels: their conditions; None without.

    Raises:
      UserError: if the pictures of the run have no classes.
    """
    network = feature_network_of(run)
    if not network.heads:
        raise UserError("--plus, --minus: the run's pictures have no classes or tags; name samples by their numbers")
    first = slice(LOOKED_AT)
    logits = network.apply(run.latent.images(run.state, z[first], None if labels is None else labels[first])).logits
    return network.heads, np.asarray(logits)


def chosen(flag: str, terms: Sequence[Term | str], heads: Sequence[Head], logits: np.ndarray) -> list[tuple[str, Term]]:
    """Returns each term as samples, with its caption; for the arguments see `samples_of`."""
    return [
        (term, samples_of(flag, term, heads, logits)) if isinstance(term, str) else (", ".join(map(str, term)), term)
        for term in terms
    ]


def samples_of(flag: str, name: str, heads: Sequence[Head], logits: np.ndarray) -> Term:
    """Returns the samples that a classifier is surest to be of a class.

    Args:
      flag: whose term it is.
      name: of the class, such as "blue hair".
      heads: of the classifier.
      logits: its answers for all samples, (n, classes).

    Raises:
      UserError: if it has no such class, or finds fewer such samples than are needed.
    """
    known = {one: (head, index) for head in heads for index, one in enumerate(head.classes)}
    if name not in known:
        some = ", ".join(difflib.get_close_matches(name, known, n=3) or list(known)[:3])
        raise UserError(f"--{flag}={printable(name)}: no class or tag of these pictures, which have {some} and others")
    head, index = known[name]
    answers = logits[:, head.columns]
    such = np.flatnonzero(answers.argmax(axis=1) == index)
    if len(such) < OF_A_NAME:
        raise UserError(
            f"--{flag}={printable(name)}: {len(such)} of {len(logits)} samples look like it, and {OF_A_NAME} are"
            " needed; choose another, or name samples by their numbers"
        )
    shares = np.exp(answers - np.logaddexp.reduce(answers, axis=1, keepdims=True))[such, index]
    return tuple(int(number) for number in such[np.argsort(-shares, kind="stable")[:OF_A_NAME]])


def show(
    run: TrainedRun,
    z: jax.Array,
    labels: np.ndarray | None,
    plus: Sequence[tuple[str, Term]],
    minus: Sequence[tuple[str, Term]],
    seed: int,
) -> Exhibit:
    """Shows a row for each term, its mean before its samples, and a row of the result before others near to it.

    Args:
      run: a run that draws from latents.
      z: latents of all samples, (n, latent_dim); the terms name rows of them.
      labels: the condition of all pictures, (n, c), each the same; None without conditions.
      plus: what is added, with its caption; see `chosen`.
      minus: what is subtracted.
      seed: of the noise about the result.
    """
    terms = [(1, *term) for term in plus] + [(-1, *term) for term in minus]
    means = jnp.stack([z[jnp.array(term)].mean(axis=0) for *_, term in terms])
    signs = jnp.array([sign for sign, *_ in terms], z.dtype)
    result = signs @ means
    beside = NEARNESS * run.latent.latents(jax.random.fold_in(jax.random.key(seed), 1), len(terms[0][2]))
    rows = [jnp.concatenate([mean[None], z[jnp.array(term)]]) for mean, (*_, term) in zip(means, terms, strict=True)]
    points = jnp.concatenate([*rows, result[None], result + beside])
    chosen = None if labels is None else np.repeat(labels[:1], len(points), axis=0)
    pictures = run.latent.images(run.state, points, chosen)
    captions = [f"{'+' if sign > 0 else '-'} {caption}" for sign, caption, _ in terms]
    return Exhibit(
        pictures,
        np.zeros((len(pictures), 0), np.uint8) if chosen is None else chosen,
        columns=len(rows[0]),
        apart=1,
        rows=(*captions, "result"),
        heads=("mean", *[""] * (len(rows[0]) - 1)),
    )
