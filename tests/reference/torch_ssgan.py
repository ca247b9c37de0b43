"""The semi-supervised GAN in PyTorch: weight normalisation by hand, Z by exponentials, Adam of the source."""

import itertools

import torch
from torch import nn


class NormalisedLinear(nn.Module):
    """scale · v / √(‖v‖² + epsilon) for each unit; weights (in, out)."""

    def __init__(self, inputs, outputs, *, train_scale, epsilon=0.0):
        super().__init__()
        self.kernel = nn.Parameter(torch.zeros(inputs, outputs))
        self.scale = nn.Parameter(torch.ones(outputs), requires_grad=train_scale)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.epsilon = epsilon

    def forward(self, x):
        lengths = ((self.kernel**2).sum(0) + self.epsilon).sqrt()
        return x @ (self.kernel / lengths * self.scale) + self.bias


class Generator(nn.Module):
    """Latents to pixels in [0, 1], (N, H·W·C)."""

    def __init__(self, latent_dim, width, pixels):
        super().__init__()
        self.dense = nn.ModuleList([nn.Linear(n, width, bias=False) for n in (latent_dim, width)])
        self.shifts = nn.ParameterList([nn.Parameter(torch.zeros(width)) for _ in range(2)])
        self.last = NormalisedLinear(width, pixels, train_scale=True, epsilon=1e-6)

    def forward(self, z):
        self.statistics = []
        for dense, shift in zip(self.dense, self.shifts, strict=True):
            z = dense(z)
            mean, variance = z.mean(0), z.var(0, unbiased=False)
            self.statistics.append((mean.detach(), z.var(0, unbiased=True).detach()))
            z = torch.log1p(torch.exp((z - mean) / (variance + 1e-6).sqrt() + shift))
        return torch.sigmoid(self.last(z))


class Discriminator(nn.Module):
    """Pixels in [0, 1], (N, H·W·C), to (logits of the classes, features); noise is a list, one array a layer."""

    def __init__(self, pixels, widths, classes):
        super().__init__()
        sizes = [pixels, *widths, classes]
        self.layers = nn.ModuleList(
            NormalisedLinear(n, m, train_scale=m == sizes[-1] and place == len(widths))
            for place, (n, m) in enumerate(itertools.pairwise(sizes))
        )

    def forward(self, x, noise):
        for place, (layer, drawn) in enumerate(zip(self.layers, noise, strict=True)):
            features = x
            x = layer(x + (0.5 if place else 0.3) * drawn)
            if place < len(self.layers) - 1:
                x = x.clamp(min=0)
        return x, features


def discriminator_loss(judge, labelled, labels, unlabelled, fakes, noises, weight):
    """(loss, its part of the labels, the rest): the source's formulas with Z itself, of logits that are small."""
    of_labelled, of_unlabelled, of_fakes = (
        judge(x, noise)[0] for x, noise in zip((labelled, unlabelled, fakes), noises, strict=True)
    )
    with_labels = -torch.log(torch.softmax(of_labelled, 1)[torch.arange(len(labels)), labels]).mean()
    real, generated = of_unlabelled.exp().sum(1), of_fakes.exp().sum(1)
    without = -0.5 * torch.log(real / (real + 1)).mean() - 0.5 * torch.log(1 / (generated + 1)).mean()
    return with_labels + weight * without, with_labels, without


def generator_loss(judge, unlabelled, fakes, noises, kind):
    (_, real), (logits, generated) = judge(unlabelled, noises[0]), judge(fakes, noises[1])
    if kind == "minimax":
        return torch.log(1 / (logits.exp().sum(1) + 1)).mean()
    difference = generated.mean(0) - real.mean(0).detach()
    return difference.abs().mean() if kind == "absolute_feature_matching" else (difference**2).mean()


class Adam:
    """Adam with 1e-8 within the square root."""

    def __init__(self, parameters, rate, beta1=0.5, beta2=0.999):
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]
        self.rate, self.betas, self.steps = rate, (beta1, beta2), 0
        self.moments = [[torch.zeros_like(p) for p in self.parameters] for _ in range(2)]

    def step(self, gradients):
        self.steps += 1
        with torch.no_grad():
            for place, (parameter, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
                for moment, beta, value in zip(self.moments, self.betas, (gradient, gradient**2), strict=True):
                    moment[place] = beta * moment[place] + (1 - beta) * value
                first, second = (
                    moment[place] / (1 - beta**self.steps)
                    for moment, beta in zip(self.moments, self.betas, strict=True)
                )
                parameter -= self.rate * first / (second + 1e-8).sqrt()
