"""Arithmetic on latents: what is added, subtracted and shown where."""

import jax
import numpy as np
import pytest
from test_exhibits import FACES, PLAIN, assert_near, drawn

from experiments import sample
from experiments.run import arithmetic
from experiments.sample import Sample
from jaxgan.data.heads import heads_of
from jaxgan.host.errors import UserError
from jaxgan.metrics.features import Embedding, FeatureNetwork


def shown(run, **flags):
    asked = Sample(show="arithmetic", **flags)
    sample.check(asked)
    return sample._exhibit(run, asked)


def test_the_result_is_the_sum_of_means():
    exhibit = shown(PLAIN, plus="1,3,2 0,1,5", minus="4,4,6", seed=9)
    z = np.asarray(PLAIN.latent.latents(jax.random.key(9), 7))
    means = [(z[1] + z[3] + z[2]) / 3, (z[0] + z[1] + z[5]) / 3, (2 * z[4] + z[6]) / 3]
    result = means[0] + means[1] - means[2]
    assert exhibit.columns == 4 and exhibit.apart == 1 and len(exhibit.images) == 16
    assert exhibit.rows == ("+ 1, 3, 2", "+ 0, 1, 5", "- 4, 4, 6", "result")
    expected = drawn(
        PLAIN, np.stack([means[0], z[1], z[3], z[2], means[1], z[0], z[1], z[5], means[2], z[4], z[4], z[6]])
    )
    assert_near(exhibit.images[:12], expected)
    assert_near(exhibit.images[12], drawn(PLAIN, result[None])[0])
    for other in exhibit.images[13:]:  # near to it, and not the same
        assert 0 < np.abs(other.astype(float) - exhibit.images[12]).mean() < 40


def test_numbers_name_samples_of_the_grid_of_the_same_seed():
    exhibit = shown(PLAIN, plus="2", seed=5)
    pictures, _ = sample.draw_samples(PLAIN, Sample(num=4, seed=5))
    assert_near(exhibit.images[1], pictures[2])
    assert_near(exhibit.images[0], pictures[2])  # the mean of one


def test_a_conditional_model_is_told_the_condition():
    with pytest.raises(UserError, match="condition: name the one that"):
        shown(FACES, plus="0")
    exhibit = shown(FACES, plus="0,1", condition="blue hair red eyes")
    assert len(np.unique(exhibit.labels, axis=0)) == 1 and exhibit.labels.sum(axis=1).max() == 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({}, "plus: show=arithmetic needs one"),
        ({"plus": "one", "minus": "1,2"}, "as many samples; a term that is a name has 3"),
        ({"plus": ""}, "plus=: write numbers"),
        ({"plus": "1,,2"}, "plus=1,,2: write numbers"),
        ({"plus": "10000"}, "from 0 to 9,999"),
        ({"plus": "1,2", "minus": "-1,2"}, "minus=-1,2: write numbers"),
        ({"plus": "1,2", "minus": "3"}, "as many samples"),
    ],
)
def test_mistakes_are_one_line(flags, message):
    with pytest.raises(UserError, match=message):
        shown(PLAIN, **flags)


def test_terms_without_arithmetic_are_refused():
    with pytest.raises(UserError, match="are terms of show=arithmetic"):
        sample.check(Sample(plus="1"))
    assert arithmetic.parse("plus", None) == ()


COLOURS = heads_of(("blue hair", "red hair", "blue eyes", "red eyes"))


def test_a_name_stands_for_the_samples_that_a_classifier_is_surest_of():
    """Of the hair alone: sample 4 has the largest logit of blue hair, but red hair is likelier still."""
    logits = np.zeros((6, 4), np.float32)
    logits[:, 0] = [3, 1, -1, 2, 9, 0.5]
    logits[:, 1] = [0, 0, 5, 0, 10, 0]
    logits[:, 2:] = [[0, 7]] * 6
    assert arithmetic.samples_of("plus", "blue hair", COLOURS, logits) == (0, 3, 1)
    with pytest.raises(UserError, match="plus=red hair: 2 of 6 samples look like it, and 3 are needed"):
        arithmetic.samples_of("plus", "red hair", COLOURS, logits)
    with pytest.raises(UserError, match="minus=blu hair: no class or tag of these pictures, which have blue hair"):
        arithmetic.samples_of("minus", "blu hair", COLOURS, logits)
    terms = arithmetic.parse("plus", "blue hair; blue hair")
    assert arithmetic.chosen("plus", (*terms, (7, 8, 9)), COLOURS, logits) == [
        *[("blue hair", (0, 3, 1))] * 2,
        ("7, 8, 9", (7, 8, 9)),
    ]


def test_terms_that_are_names_are_looked_for_among_the_first_samples(monkeypatch):
    """A classifier that calls the brightest samples "light"."""

    def tell(pictures):
        brightness = np.asarray(pictures, np.float32).mean(axis=(1, 2, 3))
        return Embedding(brightness[:, None], np.stack([brightness - np.median(brightness), 0 * brightness], axis=1))

    network = FeatureNetwork("brightness", "digest", tell, heads=heads_of(("light", "dark")))
    monkeypatch.setattr(arithmetic, "feature_network_of", lambda run: network)
    exhibit = shown(PLAIN, plus="light", minus="1,2,3", seed=4)
    pictures, _ = sample.draw_samples(PLAIN, Sample(num=arithmetic.LOOKED_AT, seed=4))
    brightest = np.argsort(-pictures.astype(np.float64).mean(axis=(1, 2, 3)))[:3]
    assert exhibit.rows == ("+ light", "- 1, 2, 3", "result")
    assert_near(exhibit.images[1:4], pictures[brightest])
    monkeypatch.setattr(arithmetic, "feature_network_of", lambda run: FeatureNetwork("none", "digest", tell))
    with pytest.raises(UserError, match="have no classes or tags; name samples by their numbers"):
        shown(PLAIN, plus="light")
