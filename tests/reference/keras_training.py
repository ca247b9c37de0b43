"""The training steps of the Keras tutorials, with Keras' own optimisers. Build and run them inside ``in_float64``."""

import contextlib

import keras
import tensorflow as tf

from reference.keras_play import cross_entropy, joint_loss


@contextlib.contextmanager
def in_float64():
    """Learning rates and slots in float64; by default Keras rounds a learning rate to float32 whatever it serves."""
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    try:
        yield
    finally:
        keras.config.set_floatx(before)


class Mlp:
    """``mlp_keras``: one batch of generated and real examples, fresh noise for the generator. Pixels in [0, 1]."""

    def __init__(self, generator, discriminator):
        self.generator, self.discriminator = generator, discriminator
        self.generator_optimizer = keras.optimizers.RMSprop()
        self.discriminator_optimizer = keras.optimizers.RMSprop()

    def step(self, pictures, discriminator_noise, generator_noise):
        fake = self.generator(discriminator_noise, training=True)
        with tf.GradientTape() as tape:
            d_loss, _ = joint_loss(self.discriminator, fake, pictures)
        _apply(self.discriminator_optimizer, tape, d_loss, self.discriminator)
        with tf.GradientTape() as tape:
            logits = self.discriminator(self.generator(generator_noise, training=True), training=True)
            g_loss = cross_entropy(logits, tf.ones_like(logits))
        _apply(self.generator_optimizer, tape, g_loss, self.generator)
        return float(d_loss), float(g_loss)


class Wgan:
    """``wgan_anime``: critic steps with a batch and noise of their own, each followed by the clip of ALL weights."""

    def __init__(self, generator, critic):
        self.generator, self.critic = generator, critic
        self.generator_optimizer = Keras2RMSprop(5e-5)
        self.critic_optimizer = Keras2RMSprop(5e-5)

    def step(self, batches, critic_noises, generator_noise):
        for pictures, noise in zip(batches, critic_noises, strict=True):
            fake = self.generator(noise, training=True)
            with tf.GradientTape() as tape:
                real_score = tf.reduce_mean(self.critic(pictures, training=True))
                d_loss = tf.reduce_mean(self.critic(fake, training=True)) - real_score
            _apply(self.critic_optimizer, tape, d_loss, self.critic)
            for weight in self.critic.trainable_variables:
                weight.assign(tf.clip_by_value(weight, -0.01, 0.01))
        with tf.GradientTape() as tape:
            g_loss = -tf.reduce_mean(self.critic(self.generator(generator_noise, training=True), training=True))
        _apply(self.generator_optimizer, tape, g_loss, self.generator)
        return float(d_loss), float(g_loss)


class Keras2RMSprop:
    """RMSprop as Keras 2 had it, in which tutorial 000 is written: ε outside the root."""

    def __init__(self, learning_rate, rho=0.9, epsilon=1e-7):
        self.learning_rate, self.rho, self.epsilon = learning_rate, rho, epsilon
        self.means = {}

    def apply_gradients(self, gradients_and_weights):
        for gradient, weight in gradients_and_weights:
            former = self.means.get(id(weight), tf.zeros_like(gradient))
            self.means[id(weight)] = mean = self.rho * former + (1 - self.rho) * gradient**2
            weight.assign_sub(self.learning_rate * gradient / (tf.sqrt(mean) + self.epsilon))


def _apply(optimizer, tape, loss, network):
    optimizer.apply_gradients(
        zip(tape.gradient(loss, network.trainable_variables), network.trainable_variables, strict=True)
    )
