"""Every loss against values worked out by hand, at logits that overflow a sigmoid, and with wrong shapes."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import losses

LOG2 = math.log(2.0)
REAL = [0.0, math.log(3.0)]  # D(x) = 1/2 and 3/4
FAKE = [0.0, -math.log(3.0)]  # D(G(z)) = 1/2 and 1/4
# −log of 1/2 and 3/4, averaged; the same numbers serve both halves.
HALF = (LOG2 + math.log(4 / 3)) / 2

TWO = {
    losses.minimax_discriminator_loss: (REAL, FAKE, 2 * HALF),
    losses.joint_batch_discriminator_loss: (REAL, FAKE, HALF),
    losses.wasserstein_discriminator_loss: ([1.0, 4.0], [3.0, -2.0], 0.5 - 2.5),
    losses.least_squares_discriminator_loss: ([1.0, 3.0], [2.0, 0.0], 0.5 * 2.0 + 0.5 * 2.0),
    losses.hinge_discriminator_loss: ([2.0, 0.5], [-3.0, 1.0], (0 + 0.5) / 2 + (0 + 2.0) / 2),
}
ONE = {
    losses.minimax_generator_loss: (FAKE, (math.log(1 / 2) + math.log(3 / 4)) / 2),
    losses.nonsaturating_generator_loss: (FAKE, (LOG2 + math.log(4)) / 2),
    losses.wasserstein_generator_loss: ([3.0, -2.0], -0.5),
    losses.least_squares_generator_loss: ([2.0, -1.0], 0.5 * (1.0 + 4.0) / 2),
    losses.hinge_generator_loss: ([3.0, -2.0], -0.5),
}


def compiled_and_not(function, *arguments):
    arrays = [jnp.asarray(values, jnp.float32) for values in arguments]
    return [function(*arrays), jax.jit(function)(*arrays)]


@pytest.mark.parametrize(("loss", "case"), TWO.items(), ids=lambda item: getattr(item, "__name__", ""))
def test_discriminator_losses_by_hand(loss, case):
    real, fake, expected = case
    np.testing.assert_allclose(compiled_and_not(loss, real, fake), expected, rtol=1e-6)


@pytest.mark.parametrize(("loss", "case"), ONE.items(), ids=lambda item: getattr(item, "__name__", ""))
def test_generator_losses_by_hand(loss, case):
    fake, expected = case
    np.testing.assert_allclose(compiled_and_not(loss, fake), expected, rtol=1e-6)


def test_matching_aware_loss_by_hand():
    zeros = [0.0, 0.0]
    value = losses.matching_aware_discriminator_loss
    np.testing.assert_allclose(compiled_and_not(value, zeros, zeros, zeros, zeros), 2 * LOG2, rtol=1e-6)
    # One argument at a time: the real one counts whole, each negative a third.
    sure = [math.log(3.0)] * 2
    np.testing.assert_allclose(value(*map(jnp.array, (sure, zeros, zeros, zeros))), math.log(4 / 3) + LOG2, rtol=1e-6)
    for place in (1, 2, 3):
        arguments = [jnp.array(zeros)] * 4
        arguments[place] = jnp.array(sure)
        expected = LOG2 + (math.log(4) + 2 * LOG2) / 3
        np.testing.assert_allclose(value(*arguments), expected, rtol=1e-6)


def test_label_smoothing_is_one_sided_and_off_by_default():
    real, fake = jnp.array(REAL), jnp.array(FAKE)
    plain = losses.minimax_discriminator_loss(real, fake)
    smooth = losses.minimax_discriminator_loss(real, fake, label_smoothing=0.1)
    # −0.9·log D − 0.1·log(1 − D), averaged over D = 1/2 and 3/4; the other half is unchanged.
    expected = (LOG2 + 0.9 * math.log(4 / 3) + 0.1 * math.log(4)) / 2 + HALF
    np.testing.assert_allclose(smooth, expected, rtol=1e-6)
    np.testing.assert_allclose(plain, 2 * HALF, rtol=1e-6)


@pytest.mark.parametrize("loss", [losses.minimax_discriminator_loss, losses.joint_batch_discriminator_loss])
def test_extreme_logits_stay_exact_and_keep_their_gradient(loss):
    factor = 1.0 if loss is losses.minimax_discriminator_loss else 0.5
    wrong, right = jnp.array([-1e4]), jnp.array([1e4])
    assert float(loss(wrong, right)) == 2e4 * factor
    assert float(loss(right, wrong)) == 0.0
    gradient = jax.grad(loss, argnums=(0, 1))(wrong, right)
    np.testing.assert_array_equal(np.concatenate(gradient), [-factor, factor])


def test_extreme_logits_of_the_generator():
    low, high = jnp.array([-1e4]), jnp.array([1e4])
    assert float(losses.nonsaturating_generator_loss(low)) == 1e4
    assert float(jax.grad(losses.nonsaturating_generator_loss)(low)[0]) == -1.0
    assert float(losses.minimax_generator_loss(high)) == -1e4
    assert float(losses.minimax_generator_loss(low)) == 0.0
    all_four = losses.matching_aware_discriminator_loss(low, high, high, high)
    assert float(all_four) == 2e4
    for loss in ONE:
        assert np.isfinite(loss(jnp.array([-1e4, 1e4])))
        assert np.isfinite(jax.grad(loss)(jnp.array([-1e4, 1e4]))).all()


@pytest.mark.parametrize("loss", [*TWO, *ONE], ids=lambda loss: loss.__name__)
def test_half_precision_logits_are_averaged_in_float32(loss):
    count = 2 if loss in TWO else 1
    # 4,096 ones and a half: their mean cannot be held in bfloat16 on the way.
    logits = jnp.concatenate([jnp.ones(4096, jnp.bfloat16), jnp.full(64, 0.5, jnp.bfloat16)])
    value = loss(*[logits] * count)
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, loss(*[logits.astype(jnp.float32)] * count), rtol=1e-6)


@pytest.mark.parametrize("loss", TWO, ids=lambda loss: loss.__name__)
def test_wrong_shapes_are_refused(loss):
    with pytest.raises(ValueError, match=r"\(N,\)"):
        loss(jnp.zeros((4, 1)), jnp.zeros((4, 1)))
    with pytest.raises(ValueError, match="one shape"):
        loss(jnp.zeros(4), jnp.zeros(3))
    with pytest.raises(ValueError, match="N > 0"):
        loss(jnp.zeros(0), jnp.zeros(0))


@pytest.mark.parametrize("loss", ONE, ids=lambda loss: loss.__name__)
def test_wrong_shapes_are_refused_by_the_generator_too(loss):
    with pytest.raises(AssertionError, match=r"\(N,\)"):
        loss(jnp.zeros((4, 1)))


def test_logits_go_by_their_names():
    logits = jnp.array([0.5, -1.0])
    for loss in TWO:
        assert loss(real_logits=logits, fake_logits=2 * logits) == loss(logits, 2 * logits)
    for loss in ONE:
        assert loss(fake_logits=logits) == loss(logits)
    named = {"real": logits, "wrong_condition": 2 * logits, "wrong_image": 3 * logits, "fake": 4 * logits}
    by_name = losses.matching_aware_discriminator_loss(**named)
    assert by_name == losses.matching_aware_discriminator_loss(*named.values())


@pytest.mark.parametrize("loss", ONE, ids=lambda loss: loss.__name__)
def test_a_generator_gains_by_higher_logits(loss):
    lower, higher = jnp.array([-0.5, 0.2]), jnp.array([-0.4, 0.3])
    assert float(loss(higher)) < float(loss(lower))
