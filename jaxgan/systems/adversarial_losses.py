"""The pairs of losses that two players can be trained with, by name, and what is reported of them."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax

from jaxgan import losses
from jaxgan.systems.checks import Check, HopelessGenerator, SaturatedDiscriminator, UndecidedDiscriminator
from jaxgan.systems.system import Panel, Report


class AdversarialLoss(NamedTuple):
    """The losses of two players, and what is logged of the discriminator's logits.

    Attributes:
      discriminator_loss: (real logits, fake logits), each (N,) -> scalar.
      generator_loss: fake logits (N,) -> scalar.
      score: logits -> what is logged of them, of the same shape.
      is_probability: whether that is a probability, or a score without bounds.
    """

    discriminator_loss: Callable[..., jax.Array]
    generator_loss: Callable[..., jax.Array]
    score: Callable[[jax.Array], jax.Array]
    is_probability: bool


def identity(logits: jax.Array) -> jax.Array:
    """Returns the logits as they are."""
    return logits


ADVERSARIAL_LOSSES = {
    "nonsaturating": AdversarialLoss(
        losses.minimax_discriminator_loss, losses.nonsaturating_generator_loss, jax.nn.sigmoid, True
    ),
    "minimax": AdversarialLoss(losses.minimax_discriminator_loss, losses.minimax_generator_loss, jax.nn.sigmoid, True),
    "wasserstein": AdversarialLoss(
        losses.wasserstein_discriminator_loss, losses.wasserstein_generator_loss, identity, False
    ),
    "least_squares": AdversarialLoss(
        losses.least_squares_discriminator_loss, losses.least_squares_generator_loss, identity, False
    ),
    "hinge": AdversarialLoss(losses.hinge_discriminator_loss, losses.hinge_generator_loss, identity, False),
}
"""The losses by name."""

PENALTY = Panel("penalty", {"d_penalty": "discriminator's"})
"""The panel of a penalty of the discriminator."""

ADA = Panel("probability", {"ada_p": "of each augmentation"}, probabilities=True)
"""The panel of adaptive augmentation."""

CLASSES = Panel("loss of classes", {"d_class": "discriminator's", "g_class": "generator's"})
"""The panel of an auxiliary classifier."""


def two_player_report(loss_name: str, further: Sequence[Panel] = (), matching_aware: bool = False) -> Report:
    """Returns the report of a system of two players, whose step returns `d_loss`, `g_loss`, `d_real` and `d_fake`.

    Args:
      loss_name: a key of `ADVERSARIAL_LOSSES`.
      further: panels of what else the step returns, such as `PENALTY`.
      matching_aware: whether the discriminator's loss is `losses.matching_aware_discriminator_loss`.

    Raises:
      KeyError: for another name.
    """
    value = "probability" if ADVERSARIAL_LOSSES[loss_name].is_probability else "score"
    loss = Panel("loss", {"d_loss": "discriminator", "g_loss": "generator"})
    opinions = {"d_real": "D(x), real", "d_fake": "D(G(z)), generated"}
    return Report(
        panels=(loss, Panel(f"mean {value}", opinions, probabilities=value == "probability"), *further),
        bar=("d_loss", "g_loss"),
        checks=_checks(loss_name, matching_aware),
        unit="generator steps",
    )


def _checks(loss_name: str, matching_aware: bool) -> tuple[Check, ...]:
    # Half of the loss is of real pictures and half of all others: log 2 each where D says the same of everything.
    at_chance = 2 * math.log(2)
    undecided = (
        UndecidedDiscriminator(loss="d_loss", at_chance=at_chance) if matching_aware else UndecidedDiscriminator()
    )
    if loss_name == "nonsaturating":
        return (HopelessGenerator(), undecided)
    if loss_name == "wasserstein":  # Under a bound of 0.01 the scores of a good critic may differ by a thousandth.
        return ()
    # Scores without bounds are never saturated: no value of theirs tells that the discriminator has won.
    saturated = (SaturatedDiscriminator(),) if ADVERSARIAL_LOSSES[loss_name].is_probability else ()
    return (*saturated, undecided)
