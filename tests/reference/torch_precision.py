"""What bfloat16 makes of the gradients of a PyTorch network, in PyTorch's own way and in the most careful one."""

import numpy as np
import torch
from torch import nn

from jaxgan import interop
from reference import torch_networks
from reference.torch_play import cross_entropy


class Rounded(torch.autograd.Function):
    """Rounds to bfloat16 on the way forward."""

    @staticmethod
    def forward(context, value):
        return value.bfloat16().float()

    @staticmethod
    def backward(context, gradient):
        return gradient


class RoundedBack(torch.autograd.Function):
    """Rounds the gradient to bfloat16 on the way back."""

    @staticmethod
    def forward(context, value):
        return value.clone()

    @staticmethod
    def backward(context, gradient):
        return gradient.bfloat16().float()


class RoundedProduct(nn.Module):
    """A convolution without bias in which only the factors of its three products are rounded, and no result."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, pictures):
        layer = self.layer
        convolve = nn.functional.conv_transpose2d if layer.transposed else nn.functional.conv2d
        convolved = convolve(Rounded.apply(pictures), Rounded.apply(layer.weight), None, layer.stride, layer.padding)
        return RoundedBack.apply(convolved)


def gradients(gan, state, images, player, *, way):
    """The gradients of one player's parameters in float32 and in bfloat16: two lists, each in PyTorch's order.

    ``way`` is "autocast" or "products". The networks are those of ``dcgan_anime_a`` at 32×32, the weights of ``state``.
    """
    pictures = torch.from_numpy(images.astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2)
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal((len(images), gan.latent_dim), np.float32))

    def gradient(way):
        generator, discriminator = networks(gan, state)
        if way == "products":
            generator, discriminator = rounding_factors(generator), rounding_factors(discriminator)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=way == "autocast"):
            judged = [discriminator(generator(noise))]
            if player == "discriminator":
                judged = [discriminator(pictures), discriminator(generator(noise).detach())]
        network = {"generator": generator, "discriminator": discriminator}[player]
        loss = sum(cross_entropy(logits.float(), target) for logits, target in zip(judged, (1.0, 0.0), strict=False))
        return [value.float().numpy() for value in torch.autograd.grad(loss, list(network.parameters()))]

    return gradient("float32"), gradient(way)


def networks(gan, state):
    """The two networks with the weights of a state."""
    width = {"generator_width": 8, "discriminator_width": 8}
    made = torch_networks.build("dcgan_anime_a", image_size=32, latent_dim=gan.latent_dim, **width)
    sides = (gan.generator, state.generator), (gan.discriminator, state.discriminator)
    for network, (module, side) in zip(made, sides, strict=True):
        variables = {"params": side.params, "batch_stats": side.batch_stats}
        exported = interop.torch.export_state_dict(module, variables, like=network.state_dict())
        network.load_state_dict({name: torch.from_numpy(array) for name, array in exported.items()})
        network.train()
    return made


def rounding_factors(network):
    """The same network, each convolution with rounded factors."""
    kinds = nn.Conv2d | nn.ConvTranspose2d
    return nn.Sequential(*(RoundedProduct(layer) if isinstance(layer, kinds) else layer for layer in network))
