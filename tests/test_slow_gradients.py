"""A model of a user's own that Flax's convolutions would slow down: one line says so, and none of jaxgan's own."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from jaxgan import data, losses, models, systems, training
from jaxgan.models.layers import Conv
from jaxgan.systems import adversarial
from jaxgan.systems.adversarial_losses import two_player_report
from jaxgan.systems.outputs import Outputs
from jaxgan.systems.schedule import BatchSchedule
from jaxgan.systems.system import Preview, System
from jaxgan.training import slow_gradients
from jaxgan.training.fitting import Devices

PICTURES = data.from_arrays(np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8))
FLAX = functools.partial(nn.Conv, 4, (4, 4), strides=2)
OURS = functools.partial(Conv, 4, kernel_size=4, stride=2, padding=1)


class Generator(models.Network):
    latent_dim: int = 4

    @nn.compact
    def __call__(self, z, *, train):
        return nn.tanh(nn.Dense(192)(z).reshape(-1, *self.image_shape))


class Discriminator(models.Network):
    layer: object = FLAX

    @nn.compact
    def __call__(self, x, *, train):
        return nn.Dense(1)(nn.relu(self.layer()(x)).reshape(len(x), -1))[:, 0]


def system_of(layer):
    """Two players whose discriminator has this convolution."""
    shape = PICTURES.image_shape
    rules = adversarial.Rules(
        gan=models.GAN("own", Generator(image_shape=shape), Discriminator(image_shape=shape, layer=layer)),
        discriminator_loss=losses.minimax_discriminator_loss,
        generator_loss=losses.nonsaturating_generator_loss,
        generator_optimizer=optax.sgd(1e-3),
        discriminator_optimizer=optax.sgd(1e-3),
    )
    return System(
        name="own",
        init=functools.partial(adversarial.init_state, rules=rules),
        step=functools.partial(adversarial.train_step, rules=rules),
        schedule=BatchSchedule(batch_size=4),
        image_shape=shape,
        preview=Preview(lambda state: PICTURES.images[:8]),
        report=two_player_report("nonsaturating"),
        networks=lambda state: {"discriminator": state.discriminator.params},
        outputs=Outputs(),
    )


@pytest.mark.parametrize("mode", ["jit", pytest.param("pmap", marks=pytest.mark.slow)])
def test_flax_convolutions_are_told_of_once(mode, capsys):
    devices = Devices(mode=mode, steps_per_call=2)
    training.fit(system_of(FLAX), PICTURES, steps=3, devices=devices)
    lines = [line for line in capsys.readouterr().err.splitlines() if "Slow gradients" in line]
    assert lines == [slow_gradients.ADVICE]


def test_of_our_own_layers_nothing_is_said(capsys):
    training.fit(system_of(OURS), PICTURES, steps=1, devices=Devices(mode="jit"))
    assert "Slow gradients" not in capsys.readouterr().err


@pytest.mark.parametrize("model", ["dcgan_64", pytest.param("sndcgan", marks=pytest.mark.slow)])
def test_of_our_own_systems_nothing_is_said(model):
    examples = data.from_arrays(np.zeros((4, 32, 32, 3), np.uint8))
    system = systems.build(model, examples, batch_size=2, generator_width=2, discriminator_width=2, latent_dim=4)
    batch = {"image": jax.ShapeDtypeStruct((1, 2, 32, 32, 3), np.uint8)}
    state = jax.eval_shape(system.init, jax.random.key(0))
    assert slow_gradients.has_kernel_gradients(jax.make_jaxpr(system.step)(state, batch)) is False


@pytest.mark.parametrize("layer", [nn.Conv(3, (3, 3)), nn.ConvTranspose(3, (4, 4), (2, 2))])
@pytest.mark.parametrize(
    "around", [lambda f: f, jax.jit, jax.checkpoint, lambda f: lambda *a: jax.lax.map(lambda _: f(*a), jnp.arange(2))]
)
def test_kernel_gradients_alone_are_found(layer, around):
    x = jnp.ones((2, 8, 8, 3))
    variables = layer.init(jax.random.key(0), x)
    forward = around(lambda variables, x: layer.apply(variables, x).sum())

    def found(function):
        return slow_gradients.has_kernel_gradients(jax.make_jaxpr(function)(variables, x))

    def scalar(variables, x):
        return forward(variables, x).sum()

    assert not found(forward)
    assert found(jax.grad(scalar))
    assert not found(jax.grad(scalar, argnums=1))  # a frozen network's input has an ordinary gradient


def test_the_form_for_accelerators_does_not_count():
    def gradient(x, kernel):
        def loss(kernel):
            return nn.Conv(2, (3, 3)).apply({"params": {"kernel": kernel, "bias": jnp.zeros(2)}}, x).sum()

        return jax.lax.platform_dependent(kernel, cpu=lambda kernel: kernel, default=jax.grad(loss))

    jaxpr = jax.make_jaxpr(gradient)(jnp.ones((1, 6, 6, 3)), jnp.ones((3, 3, 3, 2)))
    assert "conv_general_dilated" in str(jaxpr)
    assert not slow_gradients.has_kernel_gradients(jaxpr)
