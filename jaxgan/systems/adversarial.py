"""The two-player game: its state and the training step. The rules in which systems differ are in `adversarial_rules`.

Everything here is a pure function of arrays and an explicit key. `train_step` is what ONE device does with its share of
the batch; `jaxgan.training.parallel` compiles it for one device or several. Random numbers depend only on the key, the
step and the index of an example in the global batch, so a run does not depend on the number of devices.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct

from jaxgan import losses, models
from jaxgan.ops import adaptive_augmentation, noise, pixels
from jaxgan.ops import augment as augmentation
from jaxgan.systems import interpolated, negatives, top_k
from jaxgan.systems.ada import ADAState, adjusted
from jaxgan.systems.adversarial_rules import Augmentation, Rules
from jaxgan.systems.batches import check_batch
from jaxgan.systems.players import Player, apply, mean_over_devices, moving_average, new_player, update
from jaxgan.systems.replay import History, exchange

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]


class GANState(struct.PyTreeNode):
    """Everything that a run needs to continue exactly as if it had never stopped.

    Attributes:
      step: generator steps taken so far, int32.
      key: the key of the whole run; never used directly, only folded with the step.
      generator: the generator and its optimiser.
      discriminator: the discriminator (or critic) and its optimiser.
      average: a moving average of all the generator's variables, batch statistics included, or None.
      extra: what further rules keep, by name: "ada", "history" and, of StyleGAN2, "path_length". Empty, it has no
        leaves, so that states without any keep their digest.
    """

    step: jax.Array
    key: jax.Array
    generator: Player
    discriminator: Player
    average: Any = None
    extra: dict[str, Any] = struct.field(default_factory=dict)

    @property
    def sampling_variables(self) -> dict[str, Any]:
        """The generator's variables for drawing samples: the moving average if there is one."""
        return self.generator.variables if self.average is None else self.average


class StepKeys(NamedTuple):
    """The keys of one training step, each for a single purpose.

    Attributes:
      noise: the latents of the generator's step.
      critic: the latents and dropout of critic steps, folded with the index of the step.
      negatives: the wrong conditions and pictures.
      augment: the augmentation of real pictures, folded with the index of the critic step.
      augment_both: the augmentation of all pictures, folded likewise.
      penalty: the discriminator's penalty, folded with the number of critic steps so far.
      replay: the exchange with the history, folded with the index of the critic step.
      interpolation: the interpolated conditions, and their latents.
    """

    noise: jax.Array
    critic: jax.Array
    negatives: jax.Array
    augment: jax.Array
    augment_both: jax.Array
    penalty: jax.Array
    replay: jax.Array
    interpolation: jax.Array


def step_keys(state: GANState) -> StepKeys:
    """Derives the keys of the next step."""
    key = jax.random.fold_in(state.key, state.step)
    # `split` gives children 0 to 3 of the key. The keys that came later are folded in with the numbers after those, so
    # that the first four, and with them every run, stay as they were.
    return StepKeys(*jax.random.split(key, 4), *(jax.random.fold_in(key, number) for number in (4, 5, 6, 7)))


def init_state(key: jax.Array, rules: Rules) -> GANState:
    """Initialises the state before the first step."""
    generator_key, discriminator_key, run_key = jax.random.split(key, 3)
    generator = new_player(generator_key, rules.gan.generator, rules.generator_optimizer)
    discriminator = new_player(discriminator_key, rules.gan.discriminator, rules.bounded_discriminator_optimizer)
    if rules.clip is not None:
        # The bound holds from the start, so it is applied once to an update of zero.
        bound = dataclasses.replace(rules, discriminator_optimizer=optax.identity()).bounded_discriminator_optimizer
        params = discriminator.params
        updates, _ = bound.update(jax.tree.map(jnp.zeros_like, params), bound.init(params), params)
        discriminator = discriminator.replace(params=optax.apply_updates(params, updates))
    average = None if rules.average_decay is None else jax.tree.map(jnp.copy, generator.variables)
    extra: dict[str, Any] = {} if rules.ada is None else {"ada": ADAState.start()}
    if rules.replay:
        shapes = rules.gan.image_shape, *([(rules.gan.condition_dim,)] if rules.gan.condition_dim else [])
        extra["history"] = History.empty(rules.replay, shapes)
    return GANState(jnp.zeros((), jnp.int32), run_key, generator, discriminator, average, extra)


def train_step(state: GANState, batch: Batch, rules: Rules, axis_name: str | None = None) -> tuple[GANState, Metrics]:
    """Takes one generator step, preceded by its discriminator steps.

    Args:
      state: the state before the step; the same on every device.
      batch: "image" with shape (batches, N, H, W, C), or (N, H, W, C) for one batch, uint8 or floating-point in
        [−1, 1]; for conditional families also "condition" with shape (batches, N, condition_dim). N is this device's
        share. With `rules.new_batch_each_critic_step` there is a critic step for each batch, in a warm-up more than
        `rules.critic_steps`; otherwise there must be one batch.
      rules: the rules of the game.
      axis_name: the mapped axis over which the global batch is split, if any.

    Returns:
      The state after the step, and metrics, scalars over the global batch: "d_loss", "g_loss", and the mean scores
      "d_real" of real and "d_fake" of generated examples; "d_penalty" if there is a penalty, "d_class" and "g_class" if
      there is a classifier, and "ada_p". Those of the discriminator are from its last step, before the update.

    Raises:
      UserError: if the batch is not what the networks take.
      ValueError: if the number of batches does not fit the rules.
    """
    check_batch(batch, rules.gan.image_shape, rules.gan.condition_dim)
    gan = rules.gan.on(axis_name, rules.sync_batch_norm)
    keys = step_keys(state)
    batches = _critic_batches(batch, rules)
    augment_both = _augmentation(state, rules)

    def latents(key: jax.Array, count: int) -> jax.Array:
        return noise.latents(key, count, gan.latent_dim, std=gan.latent_std, axis_name=axis_name)

    def generate(params: Any, z: jax.Array, conditions: tuple[jax.Array, ...]) -> tuple[jax.Array, Any]:
        return apply(gan.generator, {**state.generator.variables, "params": params}, z, *conditions)

    # The generator does not change during the critic's steps, so its own forward pass can come first. With reused noise
    # the critic takes its pictures from this pass, and `pull_back` differentiates it without a second one.
    size = batches["image"].shape[1]
    last_conditions, z = _conditions(jax.tree.map(lambda leaf: leaf[-1], batches)), latents(keys.noise, size)
    if rules.interpolate:
        pair_key, noise_key = jax.random.split(keys.interpolation)
        between = interpolated.means(pair_key, last_conditions[0], axis_name)
        last_conditions = (interpolated.joined(last_conditions[0], between),)
        z = interpolated.joined(z, latents(noise_key, size // 2))
    fakes, pull_back, generator_collections = jax.vjp(
        lambda params: generate(params, z, last_conditions), state.generator.params, has_aux=True
    )
    of_given = interpolated.given_of(fakes) if rules.interpolate else fakes

    def critic_step(carry: tuple[Player, Any], inputs: tuple[jax.Array, Batch]) -> tuple[tuple[Player, Any], Metrics]:
        (discriminator, history), (index, current) = carry, inputs
        # Critic steps draw their latents from `keys.critic`, because `keys.noise` belongs to the generator's step.
        critic_key, noise_key = jax.random.split(jax.random.fold_in(keys.critic, index))
        images, conditions = pixels.normalize(current["image"]), _conditions(current)
        if rules.augment is not None:
            images = rules.augment(jax.random.fold_in(keys.augment, index), images, axis_name)
        generated = of_given
        if not rules.reuse_noise:
            generated, _ = generate(state.generator.params, latents(noise_key, size), conditions)
        shown = (jax.lax.stop_gradient(generated), *conditions)
        if rules.replay:
            history, shown = exchange(history, jax.random.fold_in(keys.replay, index), shown, axis_name)
        if augment_both is not None:
            real_key, fake_key = jax.random.split(jax.random.fold_in(keys.augment_both, index))
            images = augment_both(real_key, images, axis_name)
            shown = (augment_both(fake_key, shown[0], axis_name), *shown[1:])
        # As in tutorial 000, a batch that is judged several times keeps its negatives.
        wrong = jax.random.fold_in(keys.negatives, index) if rules.new_batch_each_critic_step else keys.negatives
        examples = _examples(images, conditions, shown, wrong, rules, axis_name)
        updates = state.step * rules.critic_steps + index
        penalty = _penalty(images, conditions, shown[0], updates, keys, rules)
        lazy = None if rules.penalty_every == 1 else penalty
        discriminator, metrics = _discriminator_update(
            discriminator, examples, None if lazy else penalty, critic_key, rules, gan, axis_name
        )
        if lazy:
            its_turn = updates % rules.penalty_every == 0
            discriminator, metrics["d_penalty"] = _penalty_update(discriminator, lazy, its_turn, rules, gan, axis_name)
        return (discriminator, history), metrics

    count = batches["image"].shape[0]
    (discriminator, history), logs = jax.lax.scan(
        critic_step, (state.discriminator, state.extra.get("history")), (jnp.arange(count), batches)
    )

    def generator_loss(images: jax.Array) -> tuple[jax.Array, tuple[Metrics, Any]]:
        # Folded with `count` because the critic's steps have used 0 to count − 1.
        if augment_both is not None:
            images = augment_both(jax.random.fold_in(keys.augment_both, count), images, axis_name)
        key = jax.random.fold_in(keys.critic, count)
        (logits,), g_class, collections = _judge(discriminator, [(images, *last_conditions)], key, rules, gan)
        if rules.top_k == 1.0:
            g_loss = rules.generator_loss(logits)
        else:
            share = top_k.share_at(state.step, rules.top_k, rules.top_k_steps)
            g_loss = top_k.loss(rules.generator_loss, logits, share, axis_name)
        if g_class is None:
            return g_loss, ({"g_loss": g_loss}, collections)
        return g_loss + rules.class_weight * g_class, ({"g_loss": g_loss, "g_class": g_class}, collections)

    (_, (g_metrics, collections)), fake_gradient = jax.value_and_grad(generator_loss, has_aux=True)(fakes)
    # Running statistics are of what the discriminator learns from; the vectors of spectral normalisation move with
    # every pass, as in their source.
    discriminator = discriminator.with_collections({**collections, "batch_stats": discriminator.batch_stats})
    (gradient,) = pull_back(fake_gradient)
    generator = update(state.generator, gradient, rules.generator_optimizer, axis_name)
    generator = generator.with_collections(generator_collections)

    signs = logs.pop("sign", jnp.zeros(()))
    metrics = {**jax.tree.map(lambda values: values[-1], logs), **mean_over_devices(g_metrics, axis_name)}
    average = state.average
    if rules.average_decay is not None:
        average = moving_average(state.average, generator.variables, rules.average_decay, state.step)
    extra = {} if history is None else {"history": history}
    if rules.ada is not None:
        ada, devices = state.extra["ada"], 1 if axis_name is None else jax.lax.axis_size(axis_name)
        metrics["ada_p"] = ada.probability
        pictures = count * batches["image"].shape[1] * devices
        extra["ada"] = adjusted(ada, rules.ada, jnp.mean(signs), pictures, state.step)
    return GANState(state.step + 1, state.key, generator, discriminator, average, extra), metrics


def _augmentation(state: GANState, rules: Rules) -> Augmentation | None:
    """Returns what all pictures pass that the discriminator sees in a step, or None for nothing."""
    parts = [] if rules.augment_both is None else [rules.augment_both]
    if rules.ada is not None:
        probability = state.extra["ada"].probability
        parts.append(functools.partial(adaptive_augmentation.augment, probability=probability))
    if rules.instance_noise:
        std = rules.instance_noise * jnp.maximum(1.0 - state.step / rules.instance_noise_steps, 0.0)
        parts.append(functools.partial(augmentation.add_noise, std=std))
    return augmentation.chain(parts)


def _critic_batches(batch: Batch, rules: Rules) -> Batch:
    """Returns the batch of each critic step, stacked: leaves (critic steps, N, …)."""
    if batch["image"].ndim == 4:
        if rules.new_batch_each_critic_step and rules.critic_steps > 1:
            raise ValueError("these rules take a batch for each critic step, (batches, N, H, W, C), and got one")
        batch = jax.tree.map(lambda leaf: leaf[None], batch)
    if rules.new_batch_each_critic_step:
        return batch
    if batch["image"].shape[0] != 1:
        raise ValueError(f"these rules take one batch a step, got {batch['image'].shape[0]}")
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (rules.critic_steps, *leaf.shape[1:])), batch)


def _conditions(batch: Batch) -> tuple[jax.Array, ...]:
    """Returns the conditions as the networks take them: a tuple of none or one float array (N, condition_dim)."""
    return (batch["condition"].astype(jnp.float32),) if "condition" in batch else ()


def _examples(
    images: jax.Array,
    conditions: tuple[jax.Array, ...],
    generated: tuple[jax.Array, ...],
    key: jax.Array,
    rules: Rules,
    axis_name: str | None,
) -> list[tuple[jax.Array, ...]]:
    """Lists the parts that the discriminator judges, in the order of the arguments of its loss."""
    if not rules.matching_aware:
        return [(images, *conditions), generated]
    condition_key, image_key = jax.random.split(key)
    (condition,) = conditions
    if rules.wrong_attributes is None:
        wrong_condition = negatives.rotated(condition_key, condition, axis_name)
    else:
        wrong_condition = negatives.wrong_in_one(condition_key, condition, rules.wrong_attributes, axis_name)
    if rules.gan.discriminator.several_conditions and not rules.joint_batch:
        # Each picture passes only once, under three conditions. Rotating the conditions back instead of the pictures
        # gives the same wrong pairs.
        others = negatives.rotated(image_key, condition, axis_name, back=True)
        return [(images, jnp.stack([condition, wrong_condition, others], axis=1)), generated]
    wrong_image = negatives.rotated(image_key, images, axis_name)
    return [(images, condition), (images, wrong_condition), (wrong_image, condition), generated]


def _penalty(
    images: jax.Array,
    conditions: tuple[jax.Array, ...],
    fakes: jax.Array,
    critic_updates: jax.Array,
    keys: StepKeys,
    rules: Rules,
) -> Callable[[Player, models.GAN, str | None], jax.Array] | None:
    """Binds the penalty of a critic step to its pictures, as a function of the discriminator; None without one."""
    if rules.discriminator_penalty is None:
        return None
    penalty, every = rules.discriminator_penalty, rules.penalty_every
    judge_key, penalty_key = jax.random.split(jax.random.fold_in(keys.penalty, critic_updates))

    def of(discriminator: Player, gan: models.GAN, axis_name: str | None) -> jax.Array:
        def judge(pictures: jax.Array) -> jax.Array:
            # Batch statistics are taken over these pictures, but do not enter the running averages.
            return _judge(discriminator, [(pictures, *conditions)], judge_key, rules, gan)[0][0]

        return every * penalty(judge, images, fakes, penalty_key, axis_name).astype(jnp.float32)

    return of


def _penalty_update(
    discriminator: Player,
    penalty: Callable[[Player, models.GAN, str | None], jax.Array],
    its_turn: jax.Array,
    rules: Rules,
    gan: models.GAN,
    axis_name: str | None,
) -> tuple[Player, jax.Array]:
    """Takes a step of the discriminator on a lazy penalty alone, if it is its turn; returns it with the penalty, or 0.

    Reference:
      Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, appendix B.
    """

    def penalise(player: Player) -> tuple[Player, jax.Array]:
        value, gradient = jax.value_and_grad(lambda params: penalty(player.replace(params=params), gan, axis_name))(
            player.params
        )
        player = update(player, gradient, rules.bounded_discriminator_optimizer, axis_name)
        return player, mean_over_devices(value, axis_name)

    return jax.lax.cond(its_turn, penalise, lambda player: (player, jnp.zeros((), jnp.float32)), discriminator)


def _discriminator_update(
    discriminator: Player,
    examples: Sequence[tuple[jax.Array, ...]],
    penalty: Callable[[Player, models.GAN, str | None], jax.Array] | None,
    key: jax.Array,
    rules: Rules,
    gan: models.GAN,
    axis_name: str | None,
) -> tuple[Player, Metrics]:
    """Takes one step of the discriminator on the examples, including the bound; returns it with the metrics."""

    def loss(params: Any) -> tuple[jax.Array, tuple[Metrics, list[jax.Array], Any]]:
        player = discriminator.replace(params=params)
        logits, d_class, collections = _judge(player, examples, key, rules, gan)
        d_loss = rules.discriminator_loss(*logits)
        total, metrics = d_loss, {"d_loss": d_loss}
        if d_class is not None:
            total, metrics = total + rules.class_weight * d_class, {**metrics, "d_class": d_class}
        if penalty is not None:
            d_penalty = penalty(player, gan, axis_name)
            total, metrics = total + d_penalty, {**metrics, "d_penalty": d_penalty}
        return total, (metrics, logits, collections)

    gradient, (metrics, logits, collections) = jax.grad(loss, has_aux=True)(discriminator.params)
    discriminator = update(discriminator, gradient, rules.bounded_discriminator_optimizer, axis_name)
    scores = [jnp.mean(rules.score(values.astype(jnp.float32))) for values in (logits[0], logits[-1])]
    metrics = {**metrics, "d_real": scores[0], "d_fake": scores[1]}
    if rules.ada is not None:
        metrics["sign"] = jnp.mean(jnp.sign(logits[0].astype(jnp.float32)))
    return discriminator.with_collections(collections), mean_over_devices(metrics, axis_name)


def _judge(
    discriminator: Player, examples: Sequence[tuple[jax.Array, ...]], key: jax.Array, rules: Rules, gan: models.GAN
) -> tuple[list[jax.Array], jax.Array | None, Any]:
    """Returns the logits (N,) of each part under each of its conditions, the loss of classes, and updated collections.

    The parts pass through the discriminator one after the other, each with its own dropout mask. Each updates the
    running statistics and iterates the vectors of spectral normalisation; with `rules.joint_batch` they pass through
    together. Of what is updated, a critic step keeps all, the generator's step keeps the vectors, and a penalty, which
    starts where its critic step did, keeps nothing. The loss of classes is the sum over the parts, or None without a
    classifier.
    """
    class_losses: list[jax.Array] = []

    def pass_through(player: Player, inputs: Sequence[jax.Array], part: int) -> tuple[jax.Array, Any]:
        rngs = {"dropout": jax.random.fold_in(key, part)}
        told: dict[str, Any] = {"classes": {}} if rules.class_weight else {}
        values, collections = apply(gan.discriminator, player.variables | told, *inputs, rngs=rngs)
        if told:
            class_losses.append(losses.class_loss(collections.pop("classes")["logits"], inputs[1], rules.class_kinds))
        return values, collections

    if rules.joint_batch and len(examples) > 1:
        # Interleaved, so that an example has the same index in the global batch on any number of devices.
        joint = [jnp.stack(column, axis=1).reshape(-1, *column[0].shape[1:]) for column in zip(*examples, strict=True)]
        joint_logits, collections = pass_through(discriminator, joint, 0)
        logits = list(joint_logits.reshape(-1, len(examples)).T)
        class_losses *= len(examples)  # it was the mean over all of them
    else:
        logits = []
        for part, inputs in enumerate(examples):
            values, collections = pass_through(discriminator, inputs, part)
            discriminator = discriminator.with_collections(collections)
            logits += [values] if values.ndim == 1 else [values[:, place] for place in range(values.shape[1])]
    return logits, jnp.stack(class_losses).sum() if class_losses else None, collections
