"""pix2pix in PyTorch, as its authors' program has it: pictures (N, C, H, W) in [−1, 1], masks of dropout given."""

import torch
from torch import nn


def normalised(convolution, norm):
    """A convolution and its normalisation, in order."""
    channels = convolution.out_channels
    return nn.Sequential(convolution, nn.BatchNorm2d(channels) if norm == "batch" else nn.InstanceNorm2d(channels))


class UNet(nn.Module):
    """Halvings, the innermost without normalisation, and doublings that take what the halving of their size made."""

    def __init__(self, side=256, channels=3, width=64, norm="batch"):
        super().__init__()
        count, bias = side.bit_length() - 1, norm == "instance"
        widths = [width * min(2**stage, 8) for stage in range(count)]
        halvings = [
            nn.Conv2d(before, after, 4, 2, 1, bias=bias)
            for before, after in zip([channels, *widths], widths, strict=False)
        ]
        self.down = nn.ModuleList(
            [halvings[0], *(normalised(halving, norm) for halving in halvings[1:-1]), halvings[-1]]
        )
        doublings = [nn.ConvTranspose2d(widths[-1], widths[-2], 4, 2, 1, bias=bias)]
        doublings += [
            nn.ConvTranspose2d(2 * widths[stage], widths[stage - 1], 4, 2, 1, bias=bias)
            for stage in range(count - 2, 0, -1)
        ]
        self.up = nn.ModuleList([normalised(doubling, norm) for doubling in doublings])
        self.last = nn.ConvTranspose2d(2 * width, channels, 4, 2, 1)
        self.with_dropout = range(1, count - 4)

    def forward(self, pictures, masks=None):
        """Kept units are 1 in a mask, and doubled; without masks nothing is dropped."""
        skips = [self.down[0](pictures)]
        for halving in self.down[1:]:
            # The activation is in place there, so that what is skipped to has passed it.
            skips[-1] = nn.functional.leaky_relu(skips[-1], 0.2)
            skips.append(halving(skips[-1]))
        x = skips.pop()
        for stage, doubling in enumerate(self.up):
            x = doubling(torch.relu(x))
            if masks is not None and stage in self.with_dropout:
                x = 2 * masks[stage - 1] * x
            x = torch.cat([skips.pop(), x], 1)
        return torch.tanh(self.last(torch.relu(x)))


def patchgan(channels=6, width=64, layers=3, norm="batch"):
    """Logits of patches; with 0 layers of pixels."""
    bias = norm == "instance"
    kernel = (4, 2, 1) if layers else (1, 1, 0)
    parts, before = [nn.Conv2d(channels, width, *kernel), nn.LeakyReLU(0.2)], width
    for stage in range(1, max(layers, 1) + 1):
        after = width * min(2**stage, 8)
        stride = 2 if stage < layers else 1
        convolution = nn.Conv2d(before, after, kernel[0], stride, kernel[2], bias=bias)
        parts += [*normalised(convolution, norm), nn.LeakyReLU(0.2)]
        before = after
    return nn.Sequential(*parts, nn.Conv2d(before, 1, kernel[0], 1, kernel[2], bias=bias or layers > 0))


def adversarial(logits, target, loss):
    """The mean loss of a map of logits against one target."""
    targets = torch.full_like(logits, target)
    if loss == "bce":
        return nn.functional.binary_cross_entropy_with_logits(logits, targets)
    return nn.functional.mse_loss(logits, targets)


def step(generator, discriminator, optimizers, inputs, images, masks, *, loss="bce", l1_weight=100.0):
    """One step; returns its metrics, and leaves the gradients of both networks in `seen`."""
    fakes = generator(inputs, masks)
    for_generator, for_discriminator = optimizers
    for_discriminator.zero_grad()
    fake = discriminator(torch.cat([inputs, fakes.detach()], 1))
    real = discriminator(torch.cat([inputs, images], 1))
    d_loss = 0.5 * (adversarial(fake, 0.0, loss) + adversarial(real, 1.0, loss))
    d_loss.backward()
    seen = {"discriminator": {name: weight.grad.clone() for name, weight in discriminator.named_parameters()}}
    for_discriminator.step()
    for_generator.zero_grad()
    g_loss = adversarial(discriminator(torch.cat([inputs, fakes], 1)), 1.0, loss)
    l1 = nn.functional.l1_loss(fakes, images)
    (g_loss + l1_weight * l1).backward()
    seen["generator"] = {name: weight.grad.clone() for name, weight in generator.named_parameters()}
    for_generator.step()
    scores = torch.sigmoid if loss == "bce" else lambda logits: logits
    metrics = {
        "d_loss": d_loss,
        "g_loss": g_loss,
        "l1": l1,
        "d_real": scores(real).mean(),
        "d_fake": scores(fake).mean(),
    }
    return {name: value.item() for name, value in metrics.items()}, seen
