"""The same look at both networks of a Keras tutorial."""

import keras
import numpy as np
import tensorflow as tf

from jaxgan import interop
from jaxgan.models import GAN
from reference import jax_play


def randomise(network: keras.Model, seed: int) -> keras.Model:
    """The network with weights under which every layer stays alive, and statistics away from 0 and 1."""
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        for variable in layer.weights:
            variable.assign(_values(rng, layer, variable.name, tuple(variable.shape)))
    return network


def _values(rng: np.random.Generator, layer: keras.Layer, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name in ("gamma", "moving_variance"):
        return rng.uniform(0.5, 1.5, shape)
    if name in ("beta", "moving_mean"):
        return 0.3 * rng.standard_normal(shape)
    if name == "bias":
        return 0.1 * rng.standard_normal(shape)
    if isinstance(layer, keras.layers.Conv2DTranspose):
        inputs = shape[0] * shape[1] * shape[3] / layer.strides[0] ** 2
    else:
        inputs = np.prod(shape[:-1])
    return rng.standard_normal(shape) * np.sqrt(1.5 / inputs)


def cross_entropy(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Averaged over the batch."""
    return tf.reduce_mean(keras.ops.binary_crossentropy(targets, logits, from_logits=True))


def joint_loss(discriminator: keras.Model, fake: tf.Tensor, real: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The loss of one batch of both kinds, generated examples first, and its logits."""
    logits = discriminator(tf.concat([fake, real], axis=0), training=True)
    targets = tf.concat([tf.zeros_like(logits[: len(fake)]), tf.ones_like(logits[len(fake) :])], axis=0)
    return cross_entropy(logits, targets), logits


def measure(
    gan: GAN, loss: str, generator: keras.Model, discriminator: keras.Model, inputs: dict
) -> dict[str, np.ndarray]:
    """Outputs, losses, gradients and moved statistics, named and laid out as in this library; the networks stay as they are."""
    in_unit = gan.name == "mlp_keras"
    real, z = tf.constant((inputs["image"] + 1) / 2 if in_unit else inputs["image"]), tf.constant(inputs["z"])
    before = generator.get_weights(), discriminator.get_weights()

    # The Wasserstein networks' source fixes the batch's own statistics for good; in Keras 3 the call decides.
    training = gan.name == "wgan_anime"
    measured = {
        "fake_in_evaluation": generator(z, training=training),
        "real_logits_in_evaluation": discriminator(real, training=training),
    }
    generator.set_weights(before[0])
    discriminator.set_weights(before[1])

    with tf.GradientTape() as tape:
        fake = generator(z, training=True)
        judged = discriminator(fake, training=True)
        g_loss = -tf.reduce_mean(judged) if loss == "wasserstein" else cross_entropy(judged, tf.ones_like(judged))
    generator_moved = _moved(generator, tape.gradient(g_loss, generator.trainable_variables))
    discriminator.set_weights(before[1])

    with tf.GradientTape() as tape:
        if loss == "wasserstein":
            real_logits = discriminator(real, training=True)
            fake_logits = discriminator(fake, training=True)
            d_loss = tf.reduce_mean(fake_logits) - tf.reduce_mean(real_logits)
        else:
            d_loss, logits = joint_loss(discriminator, fake, real)
            fake_logits, real_logits = logits[: len(fake)], logits[len(fake) :]
    discriminator_moved = _moved(discriminator, tape.gradient(d_loss, discriminator.trainable_variables))

    measured |= {"fake": fake, "real_logits": real_logits, "fake_logits": fake_logits}
    measured |= {"d_loss": d_loss, "g_loss": g_loss}
    measured = {name: tensor.numpy() for name, tensor in measured.items()}
    for name in measured:
        if "logits" in name:
            measured[name] = measured[name][:, 0]
        elif "fake" in name and in_unit:
            measured[name] = 2 * measured[name] - 1
    trees = {
        "generator": interop.keras.import_variables(gan.generator, generator_moved),
        "discriminator": interop.keras.import_variables(gan.discriminator, discriminator_moved),
    }
    generator.set_weights(before[0])
    discriminator.set_weights(before[1])
    return measured | jax_play.flatten(trees)


def _moved(network: keras.Model, gradients: list[tf.Tensor]) -> list[np.ndarray]:
    """In the order of ``get_weights``: the gradient of what is trained, the value of what is not."""
    found = {id(variable): gradient for variable, gradient in zip(network.trainable_variables, gradients, strict=True)}
    return [np.asarray(found.get(id(variable), variable)) for variable in network.weights]
