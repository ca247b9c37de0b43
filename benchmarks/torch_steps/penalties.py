"""Penalties of the discriminator's gradient, by the names of `--penalty`."""

from collections.abc import Callable

import torch


def penalty(
    name: str,
    judge: Callable[[torch.Tensor], torch.Tensor],
    real: torch.Tensor,
    fake: torch.Tensor,
    weight: float,
) -> torch.Tensor:
    """Returns a penalty with its weight, to be minimised with the discriminator's loss.

    Args:
      name: "gp", "r1", "r2" or "dragan".
      judge: pictures (N, C, H, W) -> logits (N,).
      real: real pictures.
      fake: generated pictures, without a gradient.
      weight: of the penalty; for "r1" and "r2" it is halved.
    """
    if name == "gp":
        points = torch.lerp(real, fake, _shares(real))
    elif name == "dragan":
        points = real + _shares(real) * (0.5 * real.std(unbiased=False)) * torch.rand_like(real)
    else:
        points = real if name == "r1" else fake
    points = points.detach().requires_grad_()
    (slopes,) = torch.autograd.grad(judge(points).sum(), points, create_graph=True)
    squares = slopes.square().sum((1, 2, 3))
    if name in ("gp", "dragan"):
        return weight * (squares.sqrt() - 1).square().mean()
    return 0.5 * weight * squares.mean()


def _shares(pictures: torch.Tensor) -> torch.Tensor:
    return torch.rand(len(pictures), 1, 1, 1, device=pictures.device)
