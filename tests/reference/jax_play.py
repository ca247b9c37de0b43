"""One look at both networks of a system in this library, with everything measured that a reference measures."""

import jax
import numpy as np

from jaxgan import losses
from jaxgan.models import GAN

DISCRIMINATOR_LOSSES = {
    "minimax": losses.minimax_discriminator_loss,
    "joint": losses.joint_batch_discriminator_loss,
    "wasserstein": losses.wasserstein_discriminator_loss,
    "matching_aware": losses.matching_aware_discriminator_loss,
}


def measure(gan: GAN, loss: str, generator: dict, discriminator: dict, inputs: dict) -> dict[str, np.ndarray]:
    """Outputs, losses, gradients and moved statistics by name; networks {"params": …, "batch_stats": …}."""
    measured = jax.jit(lambda *arguments: _measure(gan, loss, *arguments))(generator, discriminator, inputs)
    return {name: np.asarray(value) for name, value in flatten(measured).items()}


def flatten(tree: dict) -> dict:
    """{"a": {"b": x}} -> {"a/b": x}."""
    return {"/".join(key.key for key in path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _measure(gan: GAN, loss: str, generator: dict, discriminator: dict, inputs: dict) -> dict:
    condition = [inputs["condition"]] if gan.condition_dim else []
    real, z = [inputs["image"], *condition], [inputs["z"], *condition]
    discriminator_loss = DISCRIMINATOR_LOSSES[loss]
    generator_loss = losses.wasserstein_generator_loss if loss == "wasserstein" else losses.nonsaturating_generator_loss

    def apply(network, params, batch_stats, arguments):
        variables = {"params": params, "batch_stats": batch_stats}
        output, updates = network.apply(variables, *arguments, train=True, mutable=["batch_stats"])
        return output, updates.get("batch_stats", {})

    def play_generator(params):
        fake, batch_stats = apply(gan.generator, params, generator["batch_stats"], z)
        logits, _ = apply(gan.discriminator, discriminator["params"], discriminator["batch_stats"], [fake, *condition])
        return generator_loss(logits), (fake, batch_stats)

    def play_discriminator(params):
        examples = [real, [fake, *condition]]
        if loss == "matching_aware":
            wrong = [[inputs["image"], inputs["wrong_condition"]], [inputs["wrong_image"], *condition]]
            examples = [real, *wrong, [fake, *condition]]
        logits, batch_stats = [], discriminator["batch_stats"]
        for arguments in examples:
            values, batch_stats = apply(gan.discriminator, params, batch_stats, arguments)
            logits.append(values)
        return discriminator_loss(*logits), (logits, batch_stats)

    play = jax.value_and_grad(play_generator, has_aux=True)
    (g_loss, (fake, generator_stats)), generator_gradient = play(generator["params"])
    play = jax.value_and_grad(play_discriminator, has_aux=True)
    (d_loss, (logits, discriminator_stats)), discriminator_gradient = play(discriminator["params"])
    return {
        "fake": fake,
        "fake_in_evaluation": gan.generator.apply(generator, *z, train=False),
        "real_logits": logits[0],
        "fake_logits": logits[-1],
        "real_logits_in_evaluation": gan.discriminator.apply(discriminator, *real, train=False),
        "d_loss": d_loss,
        "g_loss": g_loss,
        "generator": {"params": generator_gradient, "batch_stats": generator_stats},
        "discriminator": {"params": discriminator_gradient, "batch_stats": discriminator_stats},
    }
