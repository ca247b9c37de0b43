from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan.data.heads import Head, heads_of
from jaxgan.host.digest import digest
from jaxgan.metrics import classifiers
from jaxgan.metrics.classifiers import Classifier, ClassifierRecipe, _cross_entropy, _shift, train_classifier
from jaxgan.metrics.spoiling import KINDS

HEADS = (Head("row", ("0", "1")), Head("column", ("0", "1", "2"), start=2))


apply = jax.jit(partial(Classifier(5 + len(KINDS)).apply, train=False))


def bars(count, seed):
    """8×8 pictures with a bright row, one of two, and a bright column, one of three."""
    random = np.random.default_rng(seed)
    rows, columns = random.integers(0, 2, count), random.integers(0, 3, count)
    images = random.integers(0, 60, (count, 8, 8, 1), np.uint8)
    images[np.arange(count), 2 + 3 * rows, :, 0] = 255
    images[np.arange(count), :, 1 + 2 * columns, 0] = 255
    return images, np.concatenate([np.eye(2, dtype=np.uint8)[rows], np.eye(3, dtype=np.uint8)[columns]], axis=1)


@pytest.fixture(scope="module")
def trained():
    images, conditions = bars(256, seed=0)
    return train_classifier(
        images, conditions, HEADS, ClassifierRecipe(epochs=6, batch_size=32, shift=0), progress=False
    )


@pytest.mark.slow
def test_learns_every_head(trained):
    images, conditions = bars(200, seed=1)
    features, logits = apply(trained, images)
    assert features.shape == (200, 128) and logits.shape == (200, 5 + len(KINDS))
    assert features.min() >= 0
    for head in HEADS:
        assert np.mean(logits[:, head.columns].argmax(1) == head.labels(conditions)) > 0.99


@pytest.mark.slow
def test_a_picture_does_not_depend_on_its_batch(trained):
    images, _ = bars(9, seed=2)
    together, _ = apply(trained, images)
    alone, _ = apply(trained, images[4:5])
    np.testing.assert_allclose(together[4:5], alone, atol=1e-5)


@pytest.mark.slow
def test_every_step_shifts_by_draws_of_its_own(monkeypatch):
    keys = []

    def noting(key, images, limit):
        jax.debug.callback(lambda data: keys.append(tuple(data.tolist())), jax.random.key_data(key))
        return _shift(key, images, limit)

    monkeypatch.setattr(classifiers, "_shift", noting)
    jax.clear_caches()  # of steps that note nothing
    train_classifier(*bars(64, seed=0), HEADS, ClassifierRecipe(epochs=2, batch_size=32, spoil=False), progress=False)
    jax.effects_barrier()
    jax.clear_caches()
    assert len(keys) == len(set(keys)) == 4


def test_the_rate_rises_over_a_fifth_of_the_steps_and_falls_along_a_cosine():
    rate = classifiers._learning_rate(ClassifierRecipe(learning_rate=2.0), 20)
    found = [rate(step) for step in (0, 1, 2, 3, 4, 8, 12, 20)]
    np.testing.assert_allclose(found, [0.5, 1.0, 1.5, 2.0, 2.0, 1 + np.sqrt(0.5), 1.0, 0.0], atol=1e-12)


@pytest.mark.slow
def test_training_is_deterministic_and_follows_the_seed():
    images, conditions = bars(64, seed=0)

    def weights(seed):
        recipe = ClassifierRecipe(epochs=1, batch_size=32, shift=1, spoil=False, seed=seed)
        return digest(train_classifier(images, conditions, HEADS, recipe, progress=False))

    assert weights(0) == weights(0)
    assert weights(0) != weights(1)


@pytest.mark.parametrize(
    ("shape", "flat"),
    [((28, 28, 1), 7 * 7 * 64), ((64, 64, 3), 8 * 8 * 64), ((96, 96, 3), 6 * 6 * 64), ((5, 12, 1), 2 * 6 * 64)],
)
def test_takes_any_size(shape, flat):
    variables = jax.eval_shape(
        lambda key: Classifier(10).init(key, jnp.zeros((1, *shape), jnp.uint8), train=False), jax.random.key(0)
    )
    assert variables["params"]["hidden"]["kernel"].shape == (flat, 128)


@pytest.mark.slow
def test_bytes_and_normalised_pictures_are_the_same(trained):
    images, _ = bars(9, seed=3)
    from_bytes, _ = apply(trained, images)
    from_numbers, _ = apply(trained, (images.astype(np.float32) - 127.5) / 127.5)
    np.testing.assert_allclose(from_bytes, from_numbers, atol=1e-5)


def test_an_example_without_a_choice_does_not_teach_the_head():
    logits = jnp.array([[1.0, 2.0], [5.0, -5.0]])
    targets = jnp.array([[1, 0], [0, 0]], jnp.uint8)
    loss, gradient = jax.jit(jax.value_and_grad(_cross_entropy))(logits, targets)
    one = optax.softmax_cross_entropy_with_integer_labels(logits[0], 0)
    assert loss == pytest.approx(float(one) / 2)
    np.testing.assert_array_equal(gradient[1], 0.0)


def test_shifts_move_pictures_whole_and_within_the_limit():
    image = np.arange(1, 26, dtype=np.uint8).reshape(1, 5, 5, 1)
    shifted = np.asarray(_shift(jax.random.key(0), np.repeat(image, 200, axis=0), 1))
    padded = np.pad(image[0], ((1, 1), (1, 1), (0, 0)), mode="edge")
    allowed = {padded[y : y + 5, x : x + 5].tobytes() for y in range(3) for x in range(3)}
    assert {picture.tobytes() for picture in shifted} == allowed


def test_refuses_too_few_pictures():
    images, conditions = bars(8, seed=0)
    with pytest.raises(ValueError, match="do not fill a batch"):
        train_classifier(images, conditions, HEADS, ClassifierRecipe(epochs=1, batch_size=32), progress=False)


def test_heads_by_last_word():
    hair, eyes = heads_of(["blue hair", "red hair", "green eyes", "blue eyes", "red eyes"])
    assert hair == Head("hair", ("blue hair", "red hair"), 0)
    assert eyes == Head("eyes", ("green eyes", "blue eyes", "red eyes"), 2)
    conditions = np.array([[0, 1, 0, 0, 1], [1, 0, 0, 0, 0]])
    np.testing.assert_array_equal(hair.labels(conditions), [1, 0])
    np.testing.assert_array_equal(eyes.labels(conditions), [2, -1])


@pytest.mark.parametrize(
    "names",
    [
        tuple("0123456789"),
        ("T-shirt/top", "Trouser", "Ankle boot", "Bag"),
        ("blue hair", "red hair"),
        ("blue hair", "blue eyes", "red hair", "red eyes"),  # not neighbours
        ("blue hair", "red hair", "blue eyes", "red eyes", "aqua hair", "pink hair"),  # hair twice
    ],
)
def test_other_names_make_one_head(names):
    assert heads_of(names) == (Head("class", names),)


def test_no_names_make_no_head():
    assert heads_of(()) == ()
