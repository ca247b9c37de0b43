"""Penalties of the discriminator's gradient in PyTorch, by its own second derivatives; weights are 10."""

import copy

import torch

from reference.torch_play import picture


def value_and_gradients(name, discriminator, real, fake, draw):
    """The penalty, and its gradient for each parameter by name; the discriminator stays as it is.

    `draw` has the shares (N, 1, 1, 1) of "gp" and of "dragan", and the latter's "uniform" noise.
    """
    discriminator = copy.deepcopy(discriminator)
    real, fake = picture(real), picture(fake)
    if name == "gp":
        points = torch.lerp(real, fake, picture(draw["gp"]).expand_as(real))
    elif name == "dragan":
        perturbed = real + 0.5 * real.std(unbiased=False) * picture(draw["uniform"])
        points = torch.lerp(real, perturbed, picture(draw["dragan"]).expand_as(real))
    else:
        points = {"r1": real, "r2": fake}[name]
    points = points.detach().requires_grad_()
    logits = discriminator(points)
    [slope] = torch.autograd.grad(logits, points, torch.ones_like(logits), create_graph=True)
    slope = slope.flatten(1)
    if name in ("gp", "dragan"):
        value = 10 * (slope.norm(2, dim=1) - 1).square().mean()
    else:
        value = 10 / 2 * slope.square().sum(1).mean()
    parameters = dict(discriminator.named_parameters())
    gradients = torch.autograd.grad(value, list(parameters.values()), allow_unused=True)
    return value.item(), {
        key: (torch.zeros_like(weight) if gradient is None else gradient).numpy()
        for (key, weight), gradient in zip(parameters.items(), gradients, strict=True)
    }
