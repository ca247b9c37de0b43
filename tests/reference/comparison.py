"""The whole comparison of one system: the same weights and inputs on both sides, and every error found."""

import jax
import numpy as np

from jaxgan import interop
from jaxgan.models import GAN
from reference import cases, jax_play
from reference.cases import Case


def weights_and_measures(case: Case, gan: GAN, inputs: dict, dtype: str, **sizes) -> tuple[dict, dict[str, np.ndarray]]:
    """The reference's variables in this library's layout, by player, and what the reference measured."""
    if case.framework == "torch":
        from reference import torch_networks, torch_play

        generator, discriminator = torch_networks.build(case.name, **sizes, **case.options)
        torch_play.randomise(generator, 2, dtype)
        torch_play.randomise(discriminator, 3, dtype)
        variables = {
            "generator": interop.torch.import_variables(gan.generator, torch_play.state(generator)),
            "discriminator": interop.torch.import_variables(gan.discriminator, torch_play.state(discriminator)),
        }
        return variables, torch_play.measure(gan, case.loss, generator, discriminator, inputs)
    from reference import keras_networks, keras_play

    generator, discriminator = keras_networks.build(case.name, dtype, **sizes, **case.options)
    keras_play.randomise(generator, 2)
    keras_play.randomise(discriminator, 3)
    variables = {
        "generator": interop.keras.import_variables(gan.generator, generator.get_weights()),
        "discriminator": interop.keras.import_variables(gan.discriminator, discriminator.get_weights()),
    }
    return variables, keras_play.measure(gan, case.loss, generator, discriminator, inputs)


def compare(case: Case, dtype: str, **sizes) -> dict[str, float]:
    """The relative error of each output, loss, gradient and moved statistic; batches of 4."""
    gan = case.build(**sizes)
    inputs = cases.inputs(gan, count=4, seeds=case.seeds, dtype=dtype)
    variables, expected = weights_and_measures(case, gan, inputs, dtype, **sizes)
    assert_alive(expected)
    with jax.enable_x64(dtype == "float64"):
        found = jax_play.measure(gan, case.loss, variables["generator"], variables["discriminator"], inputs)
    return cases.differences(case, found, expected)


def assert_alive(measured: dict[str, np.ndarray]) -> None:
    """A comparison of networks that say the same whatever they are given would prove nothing."""
    for name in ("fake", "fake_in_evaluation"):
        spread = measured[name].std(axis=0).mean()
        assert spread > 0.05, f"{name} hardly depends on the noise"
        assert np.mean(np.abs(measured[name]) > 0.999) < 0.1, f"{name} is saturated"
    for name in ("real_logits", "fake_logits"):
        assert measured[name].std() > 0.01, f"{name} are all alike"
        assert np.abs(measured[name]).max() < 10, f"{name} are saturated"
    assert all(np.abs(values).max() > 0 for values in measured.values())


def distance_to_jumps(case: Case) -> float:
    """How close any ReLU's input comes to 0 at full width, in all that is measured; by the reference in float64."""
    gan = case.build()
    inputs = cases.inputs(gan, count=4, seeds=case.seeds, dtype="float64")
    if case.framework == "torch":
        import torch

        from reference import torch_networks, torch_play

        networks = torch_networks.build(case.name, **case.options)
        generator, discriminator = (
            torch_play.randomise(network, seed, "float64") for seed, network in enumerate(networks, 2)
        )
        play, tensor, picture = torch_play, torch.from_numpy, torch_play.picture
    else:
        import tensorflow as tf

        from reference import keras_networks, keras_play

        networks = keras_networks.build(case.name, "float64", **case.options)
        generator, discriminator = (keras_play.randomise(network, seed) for seed, network in enumerate(networks, 2))
        play, tensor, picture = keras_play, tf.constant, tf.constant
    condition = [tensor(inputs["condition"])] if gan.condition_dim else []
    noise, real = [tensor(inputs["z"]), *condition], [picture(inputs["image"]), *condition]
    judged = [real, [play.generated(generator, *noise), *condition]]
    if case.loss == "matching_aware":
        judged += [[real[0], tensor(inputs["wrong_condition"])], [picture(inputs["wrong_image"]), *condition]]
    distances = [play.distance_to_jumps(discriminator, *examples) for examples in judged]
    return min(play.distance_to_jumps(generator, *noise), *distances)
