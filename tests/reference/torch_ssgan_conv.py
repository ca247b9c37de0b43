"""The convolutional semi-supervised GAN in PyTorch: weight normalisation and dropout by hand, pictures (N, C, H, W)."""

import itertools

import torch
from torch import nn
from torch.nn import functional

from .torch_ssgan import NormalisedLinear


class NormalisedConv(nn.Module):
    """scale · v / √(‖v‖² + 1e-6) for each output channel; weights (out, in, k, k), or transposed (in, out, k, k)."""

    def __init__(self, inputs, outputs, size, *, stride=1, padding=0, transposed=False, extra=0):
        super().__init__()
        shape = (inputs, outputs) if transposed else (outputs, inputs)
        self.kernel = nn.Parameter(torch.zeros(*shape, size, size))
        self.scale = nn.Parameter(torch.ones(outputs), requires_grad=transposed)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.stride, self.padding, self.transposed, self.extra = stride, padding, transposed, extra

    def forward(self, x):
        unit = 1 if self.transposed else 0
        others = [axis for axis in range(4) if axis != unit]
        shape = [-1 if axis == unit else 1 for axis in range(4)]
        lengths = ((self.kernel**2).sum(others) + 1e-6).sqrt()
        kernel = self.kernel * (self.scale / lengths).reshape(shape)
        if self.transposed:
            return functional.conv_transpose2d(x, kernel, self.bias, self.stride, self.padding, self.extra)
        return functional.conv2d(x, kernel, self.bias, self.stride, self.padding)


class Generator(nn.Module):
    """Latents to pictures; sides are those after 3, 2, 1 and 0 halvings."""

    def __init__(self, latent_dim, width, channels, sides):
        super().__init__()
        self.first = (4 * width, sides[0], sides[0])
        self.dense = nn.Linear(latent_dim, 4 * width * sides[0] ** 2, bias=False)
        extra = [after - (2 * before - 1) for before, after in itertools.pairwise(sides)]
        self.convs = nn.ModuleList(
            nn.ConvTranspose2d(2 * n * width, n * width, 5, 2, 2, more, bias=False)
            for n, more in zip((2, 1), extra, strict=False)
        )
        units = (4 * width * sides[0] ** 2, 2 * width, width)
        self.shifts = nn.ParameterList([nn.Parameter(torch.zeros(n)) for n in units])
        self.last = NormalisedConv(width, channels, 5, stride=2, padding=2, transposed=True, extra=extra[2])

    def forward(self, z):
        self.statistics = []
        x = self.rectified(self.dense(z), 0).reshape(-1, *self.first)
        for place, conv in enumerate(self.convs, 1):
            x = self.rectified(conv(x), place)
        return torch.tanh(self.last(x))

    def rectified(self, x, place):
        axes = [axis for axis in range(x.ndim) if axis != 1]
        shape = [-1 if axis == 1 else 1 for axis in range(x.ndim)]
        mean, variance = x.mean(axes), x.var(axes, unbiased=False)
        self.statistics.append((mean.detach(), x.var(axes, unbiased=True).detach()))
        x = (x - mean.reshape(shape)) / (variance + 1e-6).sqrt().reshape(shape) + self.shifts[place].reshape(shape)
        return x.clamp(min=0)


class Discriminator(nn.Module):
    """Pictures to (logits of the classes, features); noise is three arrays of bits, shaped as what they drop from."""

    def __init__(self, channels, width, classes):
        super().__init__()
        sizes = ((channels, 1, 1), (1, 1, 1), (1, 1, 2), (1, 2, 1), (2, 2, 1), (2, 2, 2))
        convs = [
            NormalisedConv(inputs if place == 0 else inputs * width, outputs * width, 3, stride=stride, padding=1)
            for place, (inputs, outputs, stride) in enumerate(sizes)
        ]
        convs += [NormalisedConv(2 * width, 2 * width, size) for size in (3, 1, 1)]
        self.convs = nn.ModuleList(convs)
        self.last = NormalisedLinear(2 * width, classes, train_scale=True, epsilon=1e-6)

    def forward(self, x, noise):
        for place, conv in enumerate(self.convs):
            if place in (0, 3, 6):
                rate = 0.5 if place else 0.2
                x = x * (noise[place // 3] >= round(rate * 65536)) / (1 - rate)
            x = conv(x)
            x = torch.maximum(x, 0.2 * x)
        features = x.mean((2, 3))
        return self.last(features), features
