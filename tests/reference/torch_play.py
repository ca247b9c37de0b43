"""The same look at both networks of a PyTorch tutorial."""

import copy

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from jaxgan import interop
from jaxgan.models import GAN
from reference import jax_play, weights

DTYPES = {"float32": torch.float32, "float64": torch.float64}


def randomise(network: nn.Module, seed: int, dtype: str) -> nn.Module:
    """The network in this type with the weights of ``weights.draw``, rounded to float32."""
    rng = np.random.default_rng(seed)
    for layer in network.modules():
        for name, tensor in [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]:
            shape = tuple(tensor.shape)
            if name == "num_batches_tracked":
                tensor.fill_(3)
            else:
                values = weights.draw(rng, _kind(layer, name), shape, _inputs(layer, shape))
                tensor.data = torch.from_numpy(values.astype("float32").astype(dtype))
    return network


def _kind(layer: nn.Module, name: str) -> str:
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        return {"weight": "scale", "bias": "shift", "running_mean": "mean", "running_var": "variance"}[name]
    return "bias" if name == "bias" else "kernel"


def _inputs(layer: nn.Module, shape: tuple[int, ...]) -> float:
    """How many products are summed up to one output."""
    if isinstance(layer, nn.ConvTranspose2d) and len(shape) == 4:
        return shape[0] * max(shape[2] * shape[3] / layer.stride[0] ** 2, 1)
    return float(np.prod(shape[1:]))


def state(network: nn.Module) -> dict[str, np.ndarray]:
    """The state dict as arrays."""
    return {name: tensor.detach().numpy().copy() for name, tensor in network.state_dict().items()}


def picture(images: np.ndarray) -> torch.Tensor:
    """NHWC to NCHW."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def cross_entropy(logits: torch.Tensor, target: float) -> torch.Tensor:
    """As the tutorials have it: the sigmoid, then the cross-entropy of probabilities."""
    return functional.binary_cross_entropy(torch.sigmoid(logits), torch.full_like(logits, target))


def measure(gan: GAN, loss: str, generator: nn.Module, discriminator: nn.Module, inputs: dict) -> dict[str, np.ndarray]:
    """Outputs, losses, gradients and moved statistics, laid out as in this library; the networks stay as they are."""
    generator, discriminator = copy.deepcopy(generator), copy.deepcopy(discriminator)
    condition = [torch.from_numpy(inputs["condition"])] if gan.condition_dim else []
    real, z = [picture(inputs["image"]), *condition], [torch.from_numpy(inputs["z"]), *condition]

    measured = {}
    with torch.no_grad():
        measured["fake_in_evaluation"] = generator.eval()(*z).permute(0, 2, 3, 1)
        measured["real_logits_in_evaluation"] = discriminator.eval()(*real)
    generator.train(), discriminator.train()

    fake = generator(*z)
    untouched = copy.deepcopy(discriminator)
    g_loss = cross_entropy(untouched(fake, *condition), 1.0)
    g_loss.backward()

    real_logits = discriminator(*real)
    if loss == "matching_aware":
        wrong_condition_logits = discriminator(real[0], torch.from_numpy(inputs["wrong_condition"]))
        wrong_image_logits = discriminator(picture(inputs["wrong_image"]), *condition)
        fake_logits = discriminator(fake.detach(), *condition)
        refused = [cross_entropy(logits, 0.0) for logits in (wrong_condition_logits, wrong_image_logits, fake_logits)]
        d_loss = cross_entropy(real_logits, 1.0) + (refused[0] + refused[1] + refused[2]) / 3
    else:
        fake_logits = discriminator(fake.detach(), *condition)
        d_loss = cross_entropy(real_logits, 1.0) + cross_entropy(fake_logits, 0.0)
    d_loss.backward()

    measured |= {"fake": fake.permute(0, 2, 3, 1), "real_logits": real_logits, "fake_logits": fake_logits}
    measured |= {"d_loss": d_loss, "g_loss": g_loss}
    measured = {name: tensor.detach().numpy() for name, tensor in measured.items()}
    for player, module, network in (
        ("generator", gan.generator, generator),
        ("discriminator", gan.discriminator, discriminator),
    ):
        moved = {**state(network), **{name: weight.grad.numpy() for name, weight in network.named_parameters()}}
        measured |= jax_play.flatten({player: interop.torch.import_variables(module, moved)})
    return measured


def generated(generator: nn.Module, *inputs: torch.Tensor) -> torch.Tensor:
    """What a generator makes in training, which stays as it is."""
    with torch.no_grad():
        return copy.deepcopy(generator).train()(*inputs)


def distance_to_jumps(network: nn.Module, *inputs: torch.Tensor) -> float:
    """How close any unit of a network in training comes to 0, where the derivative of its ReLU jumps."""
    found = []
    network = copy.deepcopy(network).train()
    for layer in network.modules():
        if isinstance(layer, nn.ReLU | nn.LeakyReLU):
            layer.register_forward_hook(lambda _layer, given, _output: found.append(given[0].abs().min().item()))
    with torch.no_grad():
        network(*inputs)
    return min(found)
