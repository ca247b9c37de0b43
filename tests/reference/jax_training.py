"""Training through ``adversarial.train_step`` by a recipe, and what its networks were given on the way."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from experiments.run.recipes import default_recipe
from jaxgan.models import GAN
from jaxgan.systems import adversarial
from jaxgan.systems.gan import build_rules
from jaxgan.systems.players import Player
from reference.recording import recorded


@dataclasses.dataclass(frozen=True)
class Run:
    """Losses (steps, 2) of discriminator and generator, the calls of each step, and the parameters at the end."""

    losses: np.ndarray
    calls: list[dict[str, list]]
    generator: dict
    discriminator: dict


def rules_of(gan: GAN, **changes) -> adversarial.Rules:
    """The rules of the system's recipe; pictures are not turned."""
    recipe = dataclasses.replace(default_recipe(gan.name), rotation=0.0, **changes)
    return build_rules(recipe, gan)


def state_from(rules: adversarial.Rules, generator: dict, discriminator: dict, seed: int = 0) -> adversarial.GANState:
    """The state before the first step, with these variables."""

    def player(variables, optimizer):
        return Player(variables["params"], variables["batch_stats"], optimizer.init(variables["params"]))

    return adversarial.GANState(
        step=jnp.zeros((), jnp.int32),
        key=jax.random.key(seed),
        generator=player(generator, rules.generator_optimizer),
        discriminator=player(discriminator, rules.bounded_discriminator_optimizer),
    )


def run(
    rules: adversarial.Rules, state: adversarial.GANState, batches: list[dict], *, grid: float | None = None
) -> Run:
    """One step for each batch, compiled."""
    losses, history = [], []
    with recorded(rules.gan, grid=grid) as calls:
        step = jax.jit(lambda state, batch: adversarial.train_step(state, batch, rules))
        for batch in batches:
            state, metrics = step(state, batch)
            losses.append([float(metrics["d_loss"]), float(metrics["g_loss"])])
            history.append(calls.take())
    generator, discriminator = jax.tree.map(np.asarray, (state.generator.params, state.discriminator.params))
    return Run(np.array(losses), history, generator, discriminator)


def pool(gan: GAN, *, size: int = 11, seed: int = 4) -> dict[str, np.ndarray]:
    """Pictures in [−1, 1], multiples of 1/128, and for conditional systems a condition for each."""
    rng = np.random.default_rng(seed)
    examples = {"image": rng.integers(-128, 128, size=(size, *gan.image_shape)) / 128}
    if gan.condition_dim:
        examples["condition"] = np.eye(gan.condition_dim, dtype=np.uint8)[rng.integers(gan.condition_dim, size=size)]
    return examples


def batches(rules: adversarial.Rules, examples: dict[str, np.ndarray], *, steps: int, count: int = 4) -> list[dict]:
    """The examples in order, again and again: the next ``count`` for each batch, of which a step may take several."""
    batches = rules.critic_steps if rules.new_batch_each_critic_step else 1
    order = np.arange(steps * batches * count).reshape(steps, batches, count) % len(examples["image"])
    return [{name: values[chosen] for name, values in examples.items()} for chosen in order]


def noise_of(run: Run) -> np.ndarray:
    """All noise that the generator was given, (steps, calls in a step, N, latent_dim)."""
    return np.array([[call[0] for call in step["generator"]] for step in run.calls], np.float32)
