"""The table of losses: what each name stands for, what is logged, plotted and looked for."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.run.recipes import default_recipe
from jaxgan import losses
from jaxgan.systems.adversarial_losses import ADVERSARIAL_LOSSES, two_player_report
from jaxgan.systems.adversarial_settings import AdversarialSettings
from jaxgan.systems.checks import HopelessGenerator, SaturatedDiscriminator, UndecidedDiscriminator
from jaxgan.systems.gan import build_gan, build_rules

# Name -> the functions' own names, whether probabilities are logged, and what the watch looks for.
UNDECIDED = UndecidedDiscriminator()
EXPECTED = {
    "nonsaturating": ("minimax", "nonsaturating", True, (HopelessGenerator(), UNDECIDED)),
    "minimax": ("minimax", "minimax", True, (SaturatedDiscriminator(), UNDECIDED)),
    "wasserstein": ("wasserstein", "wasserstein", False, ()),
    "least_squares": ("least_squares", "least_squares", False, (UNDECIDED,)),
    "hinge": ("hinge", "hinge", False, (UNDECIDED,)),
}


def test_every_loss_of_the_commands_is_in_the_table():
    [choices] = [field.metadata["choices"] for field in dataclasses.fields(AdversarialSettings) if field.name == "loss"]
    assert tuple(EXPECTED) == tuple(ADVERSARIAL_LOSSES) == choices


@pytest.mark.parametrize("name", EXPECTED)
def test_a_name_stands_for_a_pair_of_losses(name):
    discriminator, generator, _, _ = EXPECTED[name]
    pair = ADVERSARIAL_LOSSES[name]
    assert pair.discriminator_loss is getattr(losses, f"{discriminator}_discriminator_loss")
    assert pair.generator_loss is getattr(losses, f"{generator}_generator_loss")
    recipe = dataclasses.replace(default_recipe("mlp_b"), loss=name)
    rules = build_rules(recipe, build_gan(recipe, 1, 0))
    assert (rules.discriminator_loss, rules.generator_loss, rules.score) == pair[:3]


@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_logged_is_what_the_plot_says(name):
    logits = jnp.array([-3.0, 0.0, 2.0])
    probabilities, pair = EXPECTED[name][2], ADVERSARIAL_LOSSES[name]
    expected = 1 / (1 + np.exp(-logits)) if probabilities else logits
    np.testing.assert_allclose(pair.score(logits), expected, rtol=1e-6)
    assert pair.is_probability == probabilities
    loss, opinions = two_player_report(name).panels
    assert (loss.label, opinions.label) == ("loss", "mean probability" if probabilities else "mean score")
    assert (loss.probabilities, opinions.probabilities) == (False, probabilities)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_report_of_two_players(name):
    report = two_player_report(name)
    assert report.metrics == ("d_loss", "g_loss", "d_real", "d_fake")
    assert list(report.panels[0].curves.values()) == ["discriminator", "generator"]
    assert list(report.panels[1].curves.values()) == ["D(x), real", "D(G(z)), generated"]
    assert (report.bar, report.unit, report.diverse_preview) == (("d_loss", "g_loss"), "generator steps", True)
    assert report.checks == EXPECTED[name][3]
    assert all(set(check.metrics) <= set(report.metrics) for check in report.checks)
