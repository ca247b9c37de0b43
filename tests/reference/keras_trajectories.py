"""A Keras tutorial trained on the inputs that this library's networks were given, step by step."""

import numpy as np
import tensorflow as tf

from jaxgan import interop
from reference import keras_training


def follow(gan, generator, discriminator, batches: list[dict], calls: list[dict]) -> dict[str, np.ndarray]:
    """Losses (steps, 2) and the parameters of both networks at the end, in this library's layout."""
    system, step = {"mlp_keras": (keras_training.Mlp, _mlp), "wgan_anime": (keras_training.Wgan, _wgan)}[gan.name]
    system = system(generator, discriminator)
    losses = [step(system, batch, call) for batch, call in zip(batches, calls, strict=True)]
    trained = {
        "generator": interop.keras.import_variables(gan.generator, generator.get_weights())["params"],
        "discriminator": interop.keras.import_variables(gan.discriminator, discriminator.get_weights())["params"],
    }
    return {"losses": np.array(losses), **trained}


def _mlp(system, batch, calls):
    # The library draws the generator's noise first; it is another than the discriminator's.
    (generator_noise,), (discriminator_noise,) = calls["generator"]
    pictures = tf.constant((batch["image"][0] + 1) / 2)
    return system.step(pictures, _tensor(discriminator_noise), _tensor(generator_noise))


def _wgan(system, batch, calls):
    (generator_noise,), *critic_noises = calls["generator"]
    return system.step(
        [tf.constant(pictures) for pictures in batch["image"]],
        [_tensor(noise) for (noise,) in critic_noises],
        _tensor(generator_noise),
    )


def _tensor(values: np.ndarray) -> tf.Tensor:
    return tf.constant(values.astype(np.float64))
