"""Autoencoders in PyTorch: pictures (N, C, H, W) in [0, 1], the bound by torch.distributions, Adam."""

import torch
from torch import distributions, nn


class Encoder(nn.Module):
    """Layers in the order in which they are defined, then the mean, then perhaps the log variance."""

    def __init__(self, body, features, latent_dim, variational):
        super().__init__()
        self.body = body
        self.mean = nn.Linear(features, latent_dim)
        self.log_variance = nn.Linear(features, latent_dim) if variational else None

    def forward(self, pictures):
        features = self.body(pictures)
        return self.mean(features), None if self.log_variance is None else self.log_variance(features)


def fully_connected(variational, side=28, channels=1, latent_dim=20, width=400):
    """(encoder, decoder); the decoder ends with log odds."""
    pixels = channels * side * side
    encoder = Encoder(nn.Sequential(nn.Flatten(), nn.Linear(pixels, width), nn.ReLU()), width, latent_dim, variational)
    decoder = nn.Sequential(
        nn.Linear(latent_dim, width),
        nn.ReLU(),
        nn.Linear(width, pixels),
        nn.Unflatten(1, (channels, side, side)),
    )
    return encoder, decoder


def convolutional(side=28, channels=3, latent_dim=5, width=4):
    """(encoder, decoder) for 28×28: two halvings to 7×7."""
    smallest = 2 * width * (side // 4) ** 2
    encoder = Encoder(
        nn.Sequential(
            nn.Conv2d(channels, width, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
        ),
        smallest,
        latent_dim,
        True,
    )
    decoder = nn.Sequential(
        nn.Linear(latent_dim, smallest),
        nn.ReLU(),
        nn.Unflatten(1, (2 * width, side // 4, side // 4)),
        nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),
    )
    return encoder, decoder


def terms(encoder, decoder, pictures, noise, likelihood="bernoulli", std=0.2):
    """(log odds, reconstruction, KL or None), the terms each summed over a picture and averaged over the batch."""
    mean, log_variance = encoder(pictures)
    code = mean if log_variance is None else mean + log_variance.exp().sqrt() * noise
    logits = decoder(code)
    if likelihood == "bernoulli":
        pixel = distributions.Bernoulli(logits=logits, validate_args=False).log_prob(pictures)
    else:
        pixel = distributions.Normal(2 * torch.sigmoid(logits) - 1, std).log_prob(2 * pictures - 1)
    reconstruction = -pixel.flatten(1).sum(1).mean()
    if log_variance is None:
        return logits, reconstruction, None
    posterior = distributions.Normal(mean, log_variance.exp().sqrt())
    prior = distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    return logits, reconstruction, distributions.kl_divergence(posterior, prior).sum(1).mean()


def train(encoder, decoder, batches, noises, *, kl_weight=1.0, learning_rate=1e-3):
    """The loss of each step of Adam."""
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=learning_rate)
    losses = []
    for pictures, noise in zip(batches, noises, strict=True):
        _, reconstruction, kl = terms(encoder, decoder, pictures, noise)
        loss = reconstruction if kl is None else reconstruction + kl_weight * kl
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
