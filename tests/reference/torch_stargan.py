"""StarGAN in PyTorch, as its authors' program has it: pictures (N, C, H, W) in [−1, 1], what is drawn given."""

import torch
from torch import nn
from torch.nn import functional


def norm(channels):
    """The program's: with parameters, and with running statistics that it never uses."""
    return nn.InstanceNorm2d(channels, affine=True, track_running_stats=True)


class Block(nn.Module):
    """Adds what two convolutions make of a picture to it."""

    def __init__(self, channels):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            norm(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            norm(channels),
        )

    def forward(self, x):
        return x + self.layers(x)


class Generator(nn.Module):
    """From pictures and labels to pictures, with a mask as GANimation has it."""

    def __init__(self, channels=3, labels=5, width=64, blocks=6, mask=False):
        super().__init__()
        self.mask = mask
        layers = [nn.Conv2d(channels + labels, width, 7, 1, 3, bias=False), norm(width), nn.ReLU()]
        for n in (1, 2):
            layers += [nn.Conv2d(n * width, 2 * n * width, 4, 2, 1, bias=False), norm(2 * n * width), nn.ReLU()]
        layers += [Block(4 * width) for _ in range(blocks)]
        for n in (2, 1):
            layers += [nn.ConvTranspose2d(2 * n * width, n * width, 4, 2, 1, bias=False), norm(n * width), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, channels + mask, 7, 1, 3, bias=False))

    def forward(self, x, labels):
        planes = labels[:, :, None, None].repeat(1, 1, *x.shape[2:])
        made = self.layers(torch.cat([x, planes], dim=1))
        if not self.mask:
            return torch.tanh(made)
        return torch.lerp(x, torch.tanh(made[:, :-1]), torch.sigmoid(made[:, -1:]))


class Discriminator(nn.Module):
    """From pictures to a map of scores, and a logit for each label."""

    def __init__(self, size=128, channels=3, labels=5, width=64, layers=6):
        super().__init__()
        wide = [channels, *(width * 2**n for n in range(layers))]
        stages = [[nn.Conv2d(wide[n], wide[n + 1], 4, 2, 1), nn.LeakyReLU(0.01)] for n in range(layers)]
        self.layers = nn.Sequential(*(layer for stage in stages for layer in stage))
        self.source = nn.Conv2d(wide[-1], 1, 3, 1, 1, bias=False)
        self.classes = nn.Conv2d(wide[-1], labels, size // 2**layers, bias=False)

    def forward(self, x):
        x = self.layers(x)
        return self.source(x), self.classes(x)[:, :, 0, 0]


def class_loss(logits, labels, kinds):
    """Cross-entropies of kinds of these numbers of classes; (): of each label by itself, summed over the labels."""
    if not kinds:
        return functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum") / len(logits)
    parts = zip(logits.split(kinds, dim=1), labels.split(kinds, dim=1), strict=True)
    return sum(functional.cross_entropy(part, label.argmax(1)) for part, label in parts)


def penalty(judge, real, fake, share):
    """The mean squared distance of the slope from 1, at share · real + (1 − share) · fake; the scores are summed."""
    points = (share * real + (1 - share) * fake).requires_grad_()
    scores, _ = judge(points)
    (slopes,) = torch.autograd.grad(scores, points, torch.ones_like(scores), create_graph=True)
    lengths = slopes.reshape(len(slopes), -1).pow(2).sum(1).sqrt()
    return (lengths - 1).pow(2).mean()


def step(generator, judge, optimizers, batches, *, kinds, weights):
    """Some iterations of the discriminator, and one of the generator in the last; returns metrics and gradients.

    Args:
      generator: the network.
      judge: the other.
      optimizers: of each.
      batches: for each iteration (pictures, labels, order of the targets, shares of the penalty's points).
      kinds: see `class_loss`.
      weights: of the penalty, the classes, the reconstruction and the identity.
    """
    for real, labels, order, share in batches:
        targets = labels[order]
        fake = generator(real, targets)
        of_real, classes = judge(real)
        of_fake, _ = judge(fake.detach())
        metrics = {
            "d_loss": of_fake.mean() - of_real.mean(),
            "d_class": class_loss(classes, labels, kinds),
            "d_penalty": weights[0] * penalty(judge, real, fake.detach(), share),
            "d_real": of_real.mean(),
            "d_fake": of_fake.mean(),
        }
        optimizers[1].zero_grad()
        (metrics["d_loss"] + weights[1] * metrics["d_class"] + metrics["d_penalty"]).backward()
        of_judge = {name: weight.grad.clone() for name, weight in judge.named_parameters()}
        optimizers[1].step()
    fake = generator(real, targets)
    scores, classes = judge(fake)
    metrics |= {
        "g_loss": -scores.mean(),
        "g_class": class_loss(classes, targets, kinds),
        "reconstruction": (generator(fake, labels) - real).abs().mean(),
    }
    total = metrics["g_loss"] + weights[1] * metrics["g_class"] + weights[2] * metrics["reconstruction"]
    if weights[3]:
        metrics["identity"] = (generator(real, labels) - real).abs().mean()
        total = total + weights[3] * metrics["identity"]
    optimizers[0].zero_grad()
    total.backward()
    of_generator = {name: weight.grad.clone() for name, weight in generator.named_parameters()}
    optimizers[0].step()
    values = {name: value.item() for name, value in metrics.items()}
    return values, {"generator": of_generator, "discriminator": of_judge}
