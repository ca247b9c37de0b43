"""InfoGAN in PyTorch: probabilities and their logarithms as the source has them, distributions from torch, Adam."""

import contextlib
import math

import torch
from torch import distributions, nn

from reference.torch_residual import hinge, spectral


class TensorFlowBatchNorm(nn.BatchNorm2d):
    """Batch normalisation whose running variance is of the biased variance, for (N, C) and (N, C, H, W)."""

    def forward(self, x):
        axes = [axis for axis in range(x.ndim) if axis != 1]
        shape = [1, -1, *[1] * (x.ndim - 2)]
        mean, variance = self.running_mean, self.running_var
        if self.training:
            mean, variance = x.mean(axes), x.var(axes, unbiased=False)
            with torch.no_grad():
                self.running_mean += 0.1 * (mean - self.running_mean)
                self.running_var += 0.1 * (variance - self.running_var)
        normal = (x - mean.view(shape)) / torch.sqrt(variance.view(shape) + self.eps)
        return normal * self.weight.view(shape) + self.bias.view(shape)


class Unflatten(nn.Module):
    """Features in the order height, width, channels to (N, C, H, W)."""

    def __init__(self, height, width, channels):
        super().__init__()
        self.shape = height, width, channels

    def forward(self, x):
        return x.view(-1, *self.shape).permute(0, 3, 1, 2)


class Flatten(nn.Module):
    """(N, C, H, W) to features in the order height, width, channels."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1).reshape(len(x), -1)


class Judge(nn.Module):
    """A trunk and two heads: the probability that a picture is real, and what Q's last layer returns."""

    def __init__(self, trunk, head, q):
        super().__init__()
        self.trunk, self.head, self.q = trunk, head, q

    def forward(self, x):
        features = self.trunk(x)
        return torch.sigmoid(self.head(features).flatten()), self.q(features)

    def real(self, x):
        """The probability alone, by which Q's statistics do not move."""
        return torch.sigmoid(self.head(self.trunk(x)).flatten())

    def discriminator_loss(self, real, fake, epsilon):
        return -(torch.log(real + epsilon) + torch.log(1 - fake + epsilon)).mean()

    def generator_loss(self, fake, epsilon):
        return -torch.log(fake + epsilon).mean()


class ScoringJudge(Judge):
    """The same with scores in the place of probabilities, and the hinge loss."""

    def forward(self, x):
        features = self.trunk(x)
        return self.head(features).flatten(), self.q(features)

    def real(self, x):
        return self.head(self.trunk(x)).flatten()

    def discriminator_loss(self, real, fake, epsilon):
        return hinge(real, fake)

    def generator_loss(self, fake, epsilon):
        return -fake.mean()


def mnist(latent_dim=74, outputs=14, width=64, side=28, channels=1, slope=0.01):
    """(generator, discriminator) of pixels in [0, 1]."""
    start = side // 4
    generator = nn.Sequential(
        nn.Linear(latent_dim, 16 * width),
        TensorFlowBatchNorm(16 * width),
        nn.ReLU(),
        nn.Linear(16 * width, start * start * 2 * width),
        TensorFlowBatchNorm(start * start * 2 * width),
        nn.ReLU(),
        Unflatten(start, start, 2 * width),
        nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
        TensorFlowBatchNorm(width),
        nn.ReLU(),
        nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),
        nn.Sigmoid(),
    )
    trunk = nn.Sequential(
        nn.Conv2d(channels, width, 4, stride=2, padding=1),
        nn.LeakyReLU(slope),
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
        TensorFlowBatchNorm(2 * width),
        nn.LeakyReLU(slope),
        Flatten(),
        nn.Linear(start * start * 2 * width, 16 * width),
        TensorFlowBatchNorm(16 * width),
        nn.LeakyReLU(slope),
    )
    q = nn.Sequential(
        nn.Linear(16 * width, 2 * width),
        TensorFlowBatchNorm(2 * width),
        nn.LeakyReLU(slope),
        nn.Linear(2 * width, outputs),
    )
    return generator, Judge(trunk, nn.Linear(16 * width, 1), q)


def faces16(latent_dim, outputs, width=2, channels=3, regularised=False):
    """(generator, discriminator) for 16×16, of pixels in [−1, 1]: 4×4, 8×8, 16×16.

    Regularised: doublings by repetition, spectral normalisation of trunk and head, the hinge loss.
    """

    def double(before, after):
        if regularised:
            return nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(before, after, 3, padding=1, bias=False)
        return (nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False),)

    generator = nn.Sequential(
        nn.Unflatten(1, (latent_dim, 1, 1)),
        nn.ConvTranspose2d(latent_dim, 2 * width, 4, bias=False),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        *double(2 * width, width),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        *double(width, channels),
        nn.Tanh(),
    )
    plain_trunk = nn.Sequential(
        nn.Conv2d(channels, width, 4, stride=2, padding=1, bias=False),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(2 * width),
        nn.LeakyReLU(0.2),
    )
    q = nn.Sequential(
        nn.Conv2d(2 * width, 2 * width, 4, bias=False),
        nn.BatchNorm2d(2 * width),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(2 * width, outputs),
    )
    if not regularised:
        return generator, Judge(plain_trunk, nn.Conv2d(2 * width, 1, 4, bias=False), q)
    trunk = nn.Sequential(
        spectral(nn.Conv2d(channels, width, 4, stride=2, padding=1)),
        nn.LeakyReLU(0.2),
        spectral(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)),
        nn.LeakyReLU(0.2),
    )
    return generator, ScoringJudge(trunk, spectral(nn.Conv2d(2 * width, 1, 4)), q)


def without_spectral_norm(state):
    """The arrays of a state dict with the names and in the order of layers without spectral normalisation."""
    found = {}
    for name, array in state.items():
        layer, _, kind = name.rpartition(".")
        if kind == "bias" and f"{layer}.weight_orig" in state:
            found[f"{layer}.weight"] = state[f"{layer}.weight_orig"]
        if kind not in ("weight_orig", "weight_u", "weight_v"):
            found[name] = array
    return found


@contextlib.contextmanager
def still(network):
    """Puts the running statistics back afterwards; a backward pass that needs them belongs inside."""
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    yield
    with torch.no_grad():
        for name, buffer in network.named_buffers():
            buffer.copy_(before[name])


def information(outputs, latents, noise_dim, categorical, continuous, epsilon=0.0):
    """(of the categorical codes, of the continuous codes): entropy minus cross-entropy, means over the batch."""
    place, start = noise_dim, 0
    discrete = outputs.new_zeros(())
    for classes in categorical:
        code = latents[:, place : place + classes]
        chances = torch.softmax(outputs[:, start : start + classes], dim=1)
        prior = torch.full_like(chances, 1 / classes)
        entropy = -(code * torch.log(prior + epsilon)).sum(1).mean()
        discrete = discrete + entropy + (code * torch.log(chances + epsilon)).sum(1).mean()
        place, start = place + classes, start + classes
    smooth = outputs.new_zeros(())
    one = torch.ones(len(latents), dtype=outputs.dtype)
    for index in range(continuous):
        code, mean = latents[:, place + index], outputs[:, start + 2 * index]
        believed, prior = distributions.Normal(mean, one), distributions.Normal(0 * one, one)
        smooth = smooth + believed.log_prob(code).mean() - prior.log_prob(code).mean()
    return discrete, smooth


def discriminator_loss(judge, pictures, fakes, latents, codes, weights, epsilon=0.0):
    """(loss with the information, loss without, information terms)."""
    real = judge.real(pictures)
    fake, outputs = judge(fakes)
    plain = judge.discriminator_loss(real, fake, epsilon)
    terms = information(outputs, latents, *codes, epsilon)
    return plain - weights[0] * terms[0] - weights[1] * terms[1], plain, terms


def generator_loss(generator, judge, latents, codes, weights, epsilon=0.0):
    """(loss with the information, loss without, information terms)."""
    fake, outputs = judge(generator(latents))
    plain = judge.generator_loss(fake, epsilon)
    terms = information(outputs, latents, *codes, epsilon)
    return plain - weights[0] * terms[0] - weights[1] * terms[1], plain, terms


def train(generator, judge, batches, discriminator_latents, generator_latents, codes, weights, rates, beta1=0.5):
    """Metrics of each step: the discriminator's loss, the generator's, both terms of the generator's step.

    Q belongs to the discriminator's optimiser.
    """
    optimizers = [
        torch.optim.Adam(network.parameters(), lr=rate, betas=(beta1, 0.999))
        for network, rate in zip((generator, judge), rates, strict=True)
    ]
    found = []
    for pictures, first, second in zip(batches, discriminator_latents, generator_latents, strict=True):
        with still(generator), torch.no_grad():
            fakes = generator(first)
        loss, d_loss, _ = discriminator_loss(judge, pictures, fakes, first, codes, weights)
        judge.zero_grad()
        loss.backward()
        optimizers[1].step()
        generator.zero_grad()
        with still(judge):
            loss, g_loss, terms = generator_loss(generator, judge, second, codes, weights)
            loss.backward()
        optimizers[0].step()
        found.append([value.item() for value in (d_loss, g_loss, *terms)])
    assert all(math.isfinite(value) for row in found for value in row)
    return found
