"""The penalties of a discriminator that two players can be trained with, by name."""

import functools
from collections.abc import Callable
from typing import Any

import jax

from jaxgan import penalties
from jaxgan.penalties import Judge

WEIGHT = 10.0
"""The weight of a penalty unless another is given: lambda of WGAN-GP and of DRAGAN, gamma of R1 and R2 in StyleGAN."""


def _gp(judge: Judge, real: Any, fake: Any, key: Any, axis_name: str | None, weight: float) -> jax.Array:
    return penalties.gradient_penalty(judge, real, fake, key, axis_name, weight=weight)


def _r1(judge: Judge, real: Any, fake: Any, key: Any, axis_name: str | None, weight: float) -> jax.Array:
    return penalties.r1(judge, real, gamma=weight)


def _r2(judge: Judge, real: Any, fake: Any, key: Any, axis_name: str | None, weight: float) -> jax.Array:
    return penalties.r2(judge, fake, gamma=weight)


def _dragan(judge: Judge, real: Any, fake: Any, key: Any, axis_name: str | None, weight: float) -> jax.Array:
    return penalties.dragan(judge, real, key, axis_name, weight=weight)


PENALTIES: dict[str, Callable[..., jax.Array]] = {"gp": _gp, "r1": _r1, "r2": _r2, "dragan": _dragan}
"""The penalties by name, as `adversarial.Rules` takes them but for their weight, the last argument."""


def build(name: str | None, weight: float | None = None) -> Callable[..., jax.Array] | None:
    """Returns a penalty for `adversarial.Rules`, or None for no penalty.

    Args:
      name: a key of `PENALTIES`, or None.
      weight: of the penalty; None: `WEIGHT`.
    """
    return None if name is None else functools.partial(PENALTIES[name], weight=WEIGHT if weight is None else weight)
