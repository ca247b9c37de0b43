"""Style transfer in PyTorch: a VGG with its maps, the losses, and the feed-forward network and its step."""

import torch
from torch import nn

BLOCKS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def vgg(depth=16, width=64, pool="max", channels=3):
    """The convolutional layers, in the order of torchvision's `features`."""
    layers = []
    for block, count in enumerate(BLOCKS[depth]):
        wide = width * min(2**block, 8)
        for _ in range(count):
            layers += [nn.Conv2d(channels, wide, 3, padding=1), nn.ReLU()]
            channels = wide
        layers.append(nn.MaxPool2d(2) if pool == "max" else nn.AvgPool2d(2))
    return nn.Sequential(*layers)


def names(depth=16):
    """The name of each of these layers."""
    return [
        name
        for block, count in enumerate(BLOCKS[depth], 1)
        for name in [f"{kind}{block}_{place}" for place in range(1, count + 1) for kind in ("conv", "relu")]
        + [f"pool{block}"]
    ]


def maps(network, x, taps, depth=16):
    """The maps after some layers, (N, C, H, W) by name."""
    found = {}
    for name, layer in zip(names(depth), network, strict=True):
        x = layer(x)
        if name in taps:
            found[name] = x
        if len(found) == len(taps):
            return found
    raise KeyError(taps)


def as_imagenet(x):
    """From [−1, 1] to the range of torchvision's weights."""
    mean, std = (torch.tensor(values, dtype=x.dtype).view(1, 3, 1, 1) for values in (MEAN, STD))
    return ((x + 1) / 2 - mean) / std


def gram(x):
    """As PyTorch's example program has it."""
    count, channels, height, width = x.shape
    flat = x.view(count, channels, height * width)
    return flat.bmm(flat.transpose(1, 2)) / (channels * height * width)


def squares(x, target, relative):
    """The mean square difference of each example, in shares of its target's if asked for, averaged."""
    each = (x - target).square().flatten(1).mean(1)
    if relative:
        each = each / (target.square().flatten(1).mean(1) + 1e-12)
    return each.mean()


def losses(made, images, style, network, content_layers, style_layers, weights, *, depth=16, relative=True):
    """The weighted sum, and its terms: content, style and total variation."""
    layers = {*content_layers, *style_layers}
    found = maps(network, made, layers, depth)
    content = maps(network, images, set(content_layers), depth)
    wanted = {name: gram(x) for name, x in maps(network, style, set(style_layers), depth).items()}
    of_content = sum(squares(found[name], content[name].detach(), relative) for name in content_layers)
    of_style = sum(
        squares(gram(found[name]), wanted[name].detach().expand(len(made), -1, -1), relative) for name in style_layers
    )
    right, below = made[..., 1:] - made[..., :-1], made[..., 1:, :] - made[..., :-1, :]
    variation = right.square().mean() + below.square().mean()
    total = weights[0] * of_content + weights[1] * of_style + weights[2] * variation
    return total, {"content": of_content, "style": of_style, "total_variation": variation}


class Convolved(nn.Module):
    """A reflection, a convolution, and, unless it is the last, an instance normalisation."""

    def __init__(self, channels, features, size=3, stride=1, *, double=False, norm=True):
        super().__init__()
        self.double = double
        self.pad = nn.ReflectionPad2d(size // 2)
        self.conv = nn.Conv2d(channels, features, size, stride)
        self.norm = nn.InstanceNorm2d(features, affine=True) if norm else nn.Identity()

    def forward(self, x):
        if self.double:
            x = nn.functional.interpolate(x, scale_factor=2, mode="nearest")
        return self.norm(self.conv(self.pad(x)))


class Block(nn.Module):
    """Adds what two convolutions make of a picture to it."""

    def __init__(self, channels):
        super().__init__()
        self.first, self.second = Convolved(channels, channels), Convolved(channels, channels)

    def forward(self, x):
        return x + self.second(torch.relu(self.first(x)))


def transformer(channels=3, width=32, blocks=5):
    """The network of PyTorch's example program."""
    return nn.Sequential(
        *(Convolved(channels, width, 9), nn.ReLU()),
        *(Convolved(width, 2 * width, stride=2), nn.ReLU()),
        *(Convolved(2 * width, 4 * width, stride=2), nn.ReLU()),
        *(Block(4 * width) for _ in range(blocks)),
        *(Convolved(4 * width, 2 * width, double=True), nn.ReLU()),
        *(Convolved(2 * width, width, double=True), nn.ReLU()),
        Convolved(width, channels, 9, norm=False),
    )
