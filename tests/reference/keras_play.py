"""The same look at both networks of a Keras tutorial."""

import keras
import numpy as np
import tensorflow as tf

from jaxgan import interop
from jaxgan.models import GAN
from reference import jax_play, weights


def randomise(network: keras.Model, seed: int) -> keras.Model:
    """The network with the weights of ``weights.draw``, rounded to float32."""
    rng = np.random.default_rng(seed)
    kinds = {"gamma": "scale", "beta": "shift", "moving_mean": "mean", "moving_variance": "variance"}
    for layer in network.layers:
        for variable in layer.weights:
            shape, kind = tuple(variable.shape), kinds.get(variable.name, variable.name)
            variable.assign(weights.draw(rng, kind, shape, _inputs(layer, shape)).astype("float32"))
    return network


def _inputs(layer: keras.Layer, shape: tuple[int, ...]) -> float:
    """How many products are summed up to one output."""
    if isinstance(layer, keras.layers.Conv2DTranspose) and len(shape) == 4:
        return shape[3] * max(shape[0] * shape[1] / layer.strides[0] ** 2, 1)
    return float(np.prod(shape[:-1]))


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
    """Outputs, losses, gradients and moved statistics, laid out as in this library; the networks stay as they are."""
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


def generated(generator: keras.Model, inputs: tf.Tensor) -> tf.Tensor:
    """What a generator makes in training, which stays as it is."""
    before = generator.get_weights()
    fake = generator(inputs, training=True)
    generator.set_weights(before)
    return fake


def distance_to_jumps(network: keras.Model, inputs: tf.Tensor) -> float:
    """How close any unit of a network in training comes to 0, where the derivative of its ReLU jumps."""
    jumps = [layer.input for layer in network.layers if isinstance(layer, keras.layers.Activation)]
    before = network.get_weights()
    found = keras.Model(network.inputs, jumps)(inputs, training=True)
    network.set_weights(before)
    return min(float(tf.reduce_min(tf.abs(values))) for values in (found if isinstance(found, list) else [found]))
