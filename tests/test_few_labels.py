"""Few labels among many pictures: a balanced choice, alike on every machine, and the two sources that come of it."""

import numpy as np
import pytest

from jaxgan import data
from jaxgan.data import few_labels
from jaxgan.data.heads import Head, heads_of
from jaxgan.host.errors import UserError


def test_as_many_of_each_class_are_chosen_by_the_seed():
    labels = np.array([0, 1, -1, 2] * 25)
    chosen = few_labels.choose(labels, 3, 4, 0)
    np.testing.assert_array_equal(labels[chosen], np.repeat([0, 1, 2], 4))
    assert len(set(chosen)) == 12
    np.testing.assert_array_equal(chosen, few_labels.choose(labels, 3, 4, 0))
    assert set(chosen) != set(few_labels.choose(labels, 3, 4, 1))
    # More labels of the same seed are those and others.
    assert set(chosen) < set(few_labels.choose(labels, 3, 5, 0))


def test_a_class_of_too_few_pictures_is_refused():
    with pytest.raises(UserError, match="labels_per_class=3: class 1 has only 2 pictures"):
        few_labels.choose(np.array([0, 0, 0, 1, 1]), 2, 3, 0)


def test_labelled_pictures_are_repeated_up_to_a_batch_and_the_others_have_no_labels():
    images = np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1)
    examples = data.from_arrays(images, np.arange(20) % 4)
    parts = few_labels.divide(examples, heads_of(examples.condition_names)[0], per_class=2, seed=0, least=17)
    assert set(parts) == {"labelled", "unlabelled"}
    labelled, unlabelled = parts["labelled"], parts["unlabelled"]
    assert len(labelled) == 24 and len(np.unique(labelled.images)) == 8  # each three times
    np.testing.assert_array_equal(labelled.conditions, np.eye(4)[labelled.images.reshape(-1) % 4])
    assert set(unlabelled.arrays) == {"image"} and unlabelled.images is examples.images
    other = few_labels.divide(examples, heads_of(examples.condition_names)[0], per_class=2, seed=1, least=17)
    assert other["labelled"].digest != labelled.digest and other["unlabelled"].digest == unlabelled.digest


def test_of_several_heads_one_is_the_classes():
    conditions = np.array([[1, 0, 0, 1], [0, 1, 1, 0]] * 3)
    names = ("red hair", "blue hair", "green eyes", "grey eyes")
    examples = data.from_arrays(np.zeros((6, 1, 1, 3), np.uint8), conditions, condition_names=names)
    parts = few_labels.divide(examples, Head("eyes", names[2:], 2), per_class=1, seed=0, least=1)
    np.testing.assert_array_equal(parts["labelled"].conditions, np.eye(2))
    assert parts["labelled"].condition_names == names[2:]
