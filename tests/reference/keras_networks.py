"""The generators and discriminators of the Keras tutorials, in Keras 3: logits (N, 1) before the sigmoid.

``mlp_keras`` speaks pixels in [0, 1], as its source does.
"""

import keras
from keras import layers


def leaky_relu(x):
    """Slope 0.2 in the type of x: TensorFlow's own operation rounds the slope to float32, in float64 networks too."""
    return keras.ops.maximum(x, 0.2 * x)


def build(name, dtype, **sizes):
    """(generator, discriminator) of a system; ``sizes`` are named as in ``jaxgan.models.build``."""
    systems = {"mlp_keras": mlp_keras, "dcgan_mnist_keras": dcgan_mnist_keras, "wgan_anime": wgan_anime}
    return systems[name](dtype, **sizes)


def mlp_keras(dtype, image_size=28, latent_dim=30, generator_width=50, discriminator_width=50):
    g, d = generator_width, discriminator_width
    generator = keras.Sequential(
        [
            keras.Input((latent_dim,), dtype=dtype),
            layers.Dense(2 * g, activation="selu", dtype=dtype),
            layers.Dense(3 * g, activation="selu", dtype=dtype),
            layers.Dense(image_size**2, activation="sigmoid", dtype=dtype),
            layers.Reshape((image_size, image_size, 1), dtype=dtype),
        ]
    )
    discriminator = keras.Sequential(
        [
            keras.Input((image_size, image_size, 1), dtype=dtype),
            layers.Flatten(dtype=dtype),
            layers.Dense(3 * d, activation="selu", dtype=dtype),
            layers.Dense(2 * d, activation="selu", dtype=dtype),
            layers.Dense(1, dtype=dtype),
        ]
    )
    return generator, discriminator


def dcgan_mnist_keras(
    dtype, image_size=28, latent_dim=100, generator_width=64, discriminator_width=64, dropout_rate=0.4
):
    g, d, side = generator_width, discriminator_width, image_size // 4
    generator = keras.Sequential(
        [
            keras.Input((latent_dim,), dtype=dtype),
            layers.Dense(side * side * 2 * g, dtype=dtype),
            layers.Reshape((side, side, 2 * g), dtype=dtype),
            layers.BatchNormalization(dtype=dtype),
            layers.Conv2DTranspose(g, 5, strides=2, padding="same", dtype=dtype),
            layers.Activation("relu", dtype=dtype),
            layers.Conv2DTranspose(1, 5, strides=2, padding="same", activation="tanh", dtype=dtype),
        ]
    )
    discriminator = keras.Sequential(
        [
            keras.Input((image_size, image_size, 1), dtype=dtype),
            layers.Conv2D(d, 5, strides=2, padding="same", dtype=dtype),
            layers.Activation(leaky_relu, dtype=dtype),
            layers.Dropout(dropout_rate, dtype=dtype),
            layers.Conv2D(2 * d, 5, strides=2, padding="same", dtype=dtype),
            layers.Activation(leaky_relu, dtype=dtype),
            layers.Dropout(dropout_rate, dtype=dtype),
            layers.Flatten(dtype=dtype),
            layers.Dense(1, dtype=dtype),
        ]
    )
    return generator, discriminator


def wgan_anime(dtype, image_size=96, latent_dim=100, generator_width=64, discriminator_width=64):
    z = keras.Input((latent_dim,), dtype=dtype)
    x = layers.Reshape((1, 1, latent_dim), dtype=dtype)(z)
    x = layers.Conv2DTranspose(16 * generator_width, image_size // 32, strides=2, use_bias=False, dtype=dtype)(x)
    for factor in (8, 4, 2, 1):
        x = layers.Conv2DTranspose(factor * generator_width, 4, strides=2, use_bias=False, dtype=dtype)(x)
        x = layers.Cropping2D(1, dtype=dtype)(x)
        x = layers.BatchNormalization(epsilon=1.01e-5, dtype=dtype)(x, training=True)
        x = layers.Activation("relu", dtype=dtype)(x)
    x = layers.Conv2DTranspose(3, 4, strides=2, use_bias=False, dtype=dtype)(x)
    x = layers.Cropping2D(1, dtype=dtype)(x)
    generator = keras.Model(z, keras.ops.tanh(x))

    picture = keras.Input((image_size, image_size, 3), dtype=dtype)
    x = layers.ZeroPadding2D(1, dtype=dtype)(picture)
    x = layers.Conv2D(discriminator_width, 4, strides=2, use_bias=False, dtype=dtype)(x)
    x = layers.Activation(leaky_relu, dtype=dtype)(x)
    for factor in (2, 4, 8, 16):
        x = layers.ZeroPadding2D(1, dtype=dtype)(x)
        x = layers.Conv2D(factor * discriminator_width, 4, strides=2, use_bias=False, dtype=dtype)(x)
        x = layers.BatchNormalization(epsilon=1.01e-5, dtype=dtype)(x, training=True)
        x = layers.Activation(leaky_relu, dtype=dtype)(x)
    x = layers.Conv2D(1, image_size // 32, strides=1, use_bias=False, dtype=dtype)(x)
    return generator, keras.Model(picture, layers.Flatten(dtype=dtype)(x))
