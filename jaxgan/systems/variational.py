"""The training step of autoencoders, plain and variational: state, rules, the step, and what can be measured of them.

Everything here is a pure function of arrays and an explicit key. Noise depends on the key, the step and an example's
place in the global batch, so a run does not depend on how many devices carry it.

Reference:
  Kingma and Welling, "Auto-Encoding Variational Bayes", 2014; Rezende, Mohamed and Wierstra, "Stochastic
  Backpropagation and Approximate Inference in Deep Generative Models", 2014.
"""

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from flax import struct

from jaxgan import losses, models
from jaxgan.models.vae import Autoencoder, Posterior, pixel_means
from jaxgan.ops import noise, pixels
from jaxgan.systems import players
from jaxgan.systems.batches import check_batch, only_batch
from jaxgan.systems.checks import Verdict, Window
from jaxgan.systems.players import Player

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]

ACTIVE_VARIANCE = 0.01


class VAEState(struct.PyTreeNode):
    """Everything that a run must keep to go on exactly as if it had never stopped.

    Attributes:
      step: steps taken, int32.
      key: the key of the whole run; never used directly, only folded with the step.
      autoencoder: both networks and their optimiser; its parameters are {"encoder": …, "decoder": …}.
    """

    step: jax.Array
    key: jax.Array
    autoencoder: Player

    @property
    def decoder_variables(self) -> dict[str, Any]:
        """What the decoder's `apply` takes."""
        return {"params": self.autoencoder.params["decoder"], "batch_stats": {}}


@dataclasses.dataclass(frozen=True)
class Rules:
    """What an autoencoder is trained by.

    Attributes:
      autoencoder: the two networks. Where its encoder is not variational, nothing is drawn and there is no KL term.
      optimizer: an optax transformation, of both networks.
      likelihood: of a pixel: "bernoulli", a coin with the decoder's log odds, or "gaussian", around the decoder's
        mean in [−1, 1].
      pixel_std: standard deviation of a pixel for "gaussian", above 0. The smaller, the less the KL term counts.
      kl_weight: of the KL term: 1 for the evidence lower bound; above 1, β-VAE (Higgins et al., 2017).
      kl_warmup: steps over which the weight rises from 0 in a straight line (Bowman et al., 2016); 0: none.
      binarize: every step draws black or white for each pixel, with its brightness as the probability of white
        (Salakhutdinov and Murray, 2008). Only then is the Bernoulli loss a likelihood.
    """

    autoencoder: Autoencoder
    optimizer: optax.GradientTransformation
    likelihood: Literal["bernoulli", "gaussian"] = "bernoulli"
    pixel_std: float = 0.2
    kl_weight: float = 1.0
    kl_warmup: int = 0
    binarize: bool = False

    def __post_init__(self) -> None:
        if self.likelihood not in ("bernoulli", "gaussian"):
            raise ValueError(f"likelihood {self.likelihood!r}: choose bernoulli or gaussian")
        if self.likelihood == "gaussian" and self.binarize:
            raise ValueError("binarize: pixels that are black or white have no normal distribution")
        if not self.pixel_std > 0:
            raise ValueError(f"pixel_std must be above 0, not {self.pixel_std}")
        if self.kl_weight < 0 or self.kl_warmup < 0:
            raise ValueError(f"kl_weight {self.kl_weight} and kl_warmup {self.kl_warmup} must be at least 0")

    @property
    def variational(self) -> bool:
        """Whether codes are drawn."""
        return self.autoencoder.variational

    def kl_weight_at(self, step: jax.Array) -> jax.Array | float:
        """Returns the weight of the KL term at a step."""
        if not self.kl_warmup:
            return self.kl_weight
        return self.kl_weight * jnp.minimum(1.0, (step + 1).astype(jnp.float32) / self.kl_warmup)


def init_state(key: jax.Array, rules: Rules) -> VAEState:
    """Returns the state before the first step."""
    encoder_key, decoder_key, run_key = jax.random.split(key, 3)
    params = {
        "encoder": models.init(rules.autoencoder.encoder, encoder_key)["params"],
        "decoder": models.init(rules.autoencoder.decoder, decoder_key)["params"],
    }
    return VAEState(jnp.zeros((), jnp.int32), run_key, Player(params, {}, rules.optimizer.init(params)))


def train_step(state: VAEState, batch: Batch, rules: Rules, axis_name: str | None = None) -> tuple[VAEState, Metrics]:
    """Takes one step down the negative evidence lower bound.

    Args:
      state: the state before the step; the same on every device.
      batch: "image" with shape (1, N, H, W, C) or (N, H, W, C), uint8 or floating-point in [−1, 1]. N is this device's
        share.
      rules: what to train by.
      axis_name: the mapped axis over which the global batch is split, if any.

    Returns:
      The state after the step, and metrics, scalars of the whole global batch, in nats for each picture: "loss", which
      is minimised, and is the negative evidence lower bound where `kl_weight` is 1; "reconstruction"; and "kl" where
      codes are drawn.

    Raises:
      UserError: if the batch is not what the networks take.
      ValueError: for more than one round.
    """
    check_batch(batch, rules.autoencoder.image_shape)
    images = pixels.normalize(only_batch(batch["image"], "an autoencoder"))
    latent_key, pixel_key = jax.random.split(jax.random.fold_in(state.key, state.step))
    if rules.binarize:
        images = binarized(pixel_key, images, axis_name)
    epsilon = None
    if rules.variational:
        epsilon = noise.latents(latent_key, len(images), rules.autoencoder.latent_dim, axis_name=axis_name)

    def loss(params: Any) -> tuple[jax.Array, Metrics]:
        return negative_elbo(params, images, epsilon, rules, rules.kl_weight_at(state.step))

    (_, metrics), gradient = jax.value_and_grad(loss, has_aux=True)(state.autoencoder.params)
    player = players.update(state.autoencoder, gradient, rules.optimizer, axis_name)
    metrics = players.mean_over_devices(metrics, axis_name)
    return state.replace(step=state.step + 1, autoencoder=player), metrics


def binarized(key: jax.Array, images: jax.Array, axis_name: str | None = None) -> jax.Array:
    """Draws −1 or 1 for each pixel, 1 with the probability (pixel + 1) / 2.

    Args:
      key: of the whole global batch.
      images: (N, H, W, C) in [−1, 1], this device's share.
      axis_name: the mapped axis over which the global batch is split, if any.
    """
    keys = noise.example_keys(key, len(images), axis_name)
    white = jax.vmap(jax.random.bernoulli)(keys, (images + 1.0) / 2.0)
    return jnp.where(white, 1.0, -1.0).astype(images.dtype)


def negative_elbo(
    params: Any, images: jax.Array, epsilon: Any, rules: Rules, kl_weight: jax.Array | float = 1.0
) -> tuple[jax.Array, Metrics]:
    """Computes what is minimised, and its terms.

    Args:
      params: {"encoder": …, "decoder": …}.
      images: (N, H, W, C) in [−1, 1].
      epsilon: normal noise, (N, latent_dim); of no use, and may be None, where nothing is drawn.
      rules: for the networks and the likelihood.
      kl_weight: of the KL term.

    Returns:
      reconstruction + kl_weight · KL, and the metrics of `train_step`. Both terms are sums over the pixels and over the
      latents of a picture, means over the batch, so that a weight of 1 means 1.
    """
    mean, log_variance = encode(rules.autoencoder, params, images, train=True)
    z = mean if log_variance is None else mean + jnp.exp(0.5 * log_variance) * epsilon
    logits: Any = rules.autoencoder.decoder.apply({"params": params["decoder"]}, z, train=True, method="logits")
    if rules.likelihood == "bernoulli":
        reconstruction = losses.bernoulli_reconstruction_loss(logits, (images + 1.0) / 2.0)
    else:
        reconstruction = losses.gaussian_reconstruction_loss(pixel_means(logits), images, std=rules.pixel_std)
    if log_variance is None:
        return reconstruction, {"loss": reconstruction, "reconstruction": reconstruction}
    kl = losses.gaussian_kl_divergence(mean, log_variance)
    loss = reconstruction + kl_weight * kl
    return loss, {"loss": loss, "reconstruction": reconstruction, "kl": kl}


def encode(autoencoder: Autoencoder, params: Any, images: jax.Array, *, train: bool = False) -> Posterior:
    """Returns the distribution of the codes, or the codes, of images (N, H, W, C), uint8 or in [−1, 1]."""
    posterior: Any = autoencoder.encoder.apply({"params": params["encoder"]}, pixels.normalize(images), train=train)
    return posterior


def reconstruct(autoencoder: Autoencoder, params: Any, images: jax.Array) -> jax.Array:
    """Decodes the mean codes of images (N, H, W, C), uint8 or in [−1, 1]; returns the same shape in [−1, 1]."""
    codes = encode(autoencoder, params, images).mean
    reconstructions: Any = autoencoder.decoder.apply({"params": params["decoder"]}, codes, train=False)
    return reconstructions


def elbo(rules: Rules, params: Any, images: jax.Array, key: jax.Array) -> jax.Array:
    """Estimates the evidence lower bound of each picture, with one code each and a KL weight of 1.

    Args:
      rules: of a variational autoencoder. Under its Bernoulli likelihood the bound is that of a picture whose pixels
        are drawn black or white by the key, as in `binarized`, whatever `rules.binarize` says: grey pixels have no
        probability there. Under the Gaussian one it is that of the picture as it is.
      params: {"encoder": …, "decoder": …}.
      images: (N, H, W, C), uint8 or in [−1, 1].
      key: of the pixels and the codes.

    Returns:
      Nats, (N,).

    Raises:
      ValueError: where nothing is drawn: a plain autoencoder gives pictures no probability.
    """
    if not rules.variational:
        raise ValueError(f"{rules.autoencoder.name}: not variational, and gives pictures no probability")
    latent_key, pixel_key = jax.random.split(key)
    images = pixels.normalize(images)
    if rules.likelihood == "bernoulli":
        images = binarized(pixel_key, images)
    epsilon = noise.latents(latent_key, len(images), rules.autoencoder.latent_dim)
    one = jax.vmap(lambda image, e: negative_elbo(params, image[None], e[None], rules)[0])
    return -one(images, epsilon)


def reconstruction_errors(autoencoder: Autoencoder, params: Any, images: jax.Array) -> jax.Array:
    """Measures how far pictures (N, H, W, C) are from their reconstructions.

    Returns:
      (N,), the root mean square over each picture's pixels, which are numbers in [−1, 1]: 0 to 2.
    """
    difference = reconstruct(autoencoder, params, images) - pixels.normalize(images)
    return jnp.sqrt(jnp.mean(jnp.square(difference.astype(jnp.float32)), axis=(1, 2, 3)))


def active_units(means: jax.Array) -> jax.Array:
    """Counts the latents that depend on the picture.

    Args:
      means: the posterior means of many pictures, (N, latent_dim).

    Returns:
      How many latents' means have a variance above 0.01, int32; 0 is posterior collapse.

    Reference:
      Burda, Grosse and Salakhutdinov, "Importance Weighted Autoencoders", 2016, section 5.2.
    """
    return jnp.sum(jnp.var(means, axis=0) > ACTIVE_VARIANCE, dtype=jnp.int32)


@dataclasses.dataclass(frozen=True)
class PosteriorCollapse:
    """Looks for codes that say nothing of their pictures, so that all samples are one average picture.

    The KL term is an upper bound of the information in a code. One choice of two takes log 2 = 0.69 nats; below half a
    nat there is not even that. `vae_mlp` on MNIST has 25, and 0.02 with a weight of 30. The bound is the same for every
    weight of the term; without a weight nothing pushes the codes together, and the check is off.

    Attributes:
      kl_weight: of the system.
      lowest: nats below which the codes are empty.
      after: the step until which they may be, because the decoder does not use them yet. With a warm-up of the weight
        they are filled early, and may be emptied only when it is over.
      kind: see `Check`.
      advice: see `Check`.
      length: see `Check`.
      steps: see `Check`.
      metrics: see `Check`.
    """

    kl_weight: float = 1.0
    lowest: float = 0.5
    after: int = 1000
    kind: str = "posterior collapse"
    advice: str = "Lower --kl_weight, or raise it slowly with --kl_warmup."
    length: int = 3
    steps: int = 500
    metrics: tuple[str, ...] = ("kl",)

    def look(self, window: Window, memory: float) -> Verdict:
        """Judges a window; see `Check`. It remembers nothing."""
        kl = window.metrics["kl"]
        seen = f"the codes say nothing of their pictures (KL = {kl:.2f} nats)"
        return Verdict(self.kl_weight > 0 and kl < self.lowest, seen, certain=window.step > self.after)
