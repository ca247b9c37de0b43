"""StyleGAN2 in PyTorch, with a kernel of its own for each example, as functions of weights.

The weights are nested dictionaries with the names and layouts of `jaxgan.models.stylegan2`; pictures and features are
(N, C, H, W). Nothing of the arithmetic is shared: a modulated kernel is made for each example and applied in groups,
the filter is a convolution with its outer product, and statistics of a minibatch come of a reshape.
"""

import itertools
import math

import torch
from torch.nn import functional

FILTER = torch.outer(torch.tensor([1.0, 3.0, 3.0, 1.0]), torch.tensor([1.0, 3.0, 3.0, 1.0])).double() / 64


def filtered(x, up=1, down=1, pad=(0, 0), gain=1.0):
    """Zeros between pixels, the filter over a padded picture, and every so many pixels of that."""
    count, channels, height, width = x.shape
    spread = x.new_zeros(count, channels, height * up, width * up)
    spread[:, :, ::up, ::up] = x
    spread = functional.pad(spread, (*pad, *pad))
    kernel = (FILTER.to(x) * gain)[None, None].repeat(channels, 1, 1, 1)
    return functional.conv2d(spread, kernel, groups=channels)[:, :, ::down, ::down]


def active(x):
    return functional.leaky_relu(x, 0.2) * math.sqrt(2)


def unit(x):
    return x / torch.sqrt((x**2).mean(1, keepdim=True) + 1e-8)


def linear(weights, x, rate=1.0):
    return x @ (weights["kernel"] * rate / math.sqrt(x.shape[1])) + rate * weights["bias"]


def mapping(weights, z=None, condition=None):
    layers = list(weights.values())
    parts = [] if z is None else [unit(z)]
    if condition is not None:
        parts.append(unit(linear(layers.pop(0), condition)))
    x = torch.cat(parts, 1)
    for layer in layers:
        x = active(linear(layer, x, 0.01))
    return x


def modulated(weights, x, w, demodulate=True, up=False):
    """One convolution in as many groups as there are examples."""
    count, channels, height, width = x.shape
    style = linear(weights["ScaledDense_0"], w)
    kernel = weights["kernel"].permute(2, 3, 0, 1) if up else weights["kernel"].permute(3, 2, 0, 1)
    side = kernel.shape[-1]
    if not demodulate:
        style = style / math.sqrt(channels * side**2)
    own = kernel[None] * style[:, None, :, None, None]
    if demodulate:
        own = own / torch.sqrt((own**2).sum((2, 3, 4), keepdim=True) + 1e-8)
    x = x.reshape(1, count * channels, height, width)
    if not up:
        y = functional.conv2d(x, own.flatten(0, 1), padding=side // 2, groups=count)
    else:
        y = functional.conv_transpose2d(x, own.transpose(1, 2).flatten(0, 1), stride=2, groups=count)
    y = y.reshape(count, -1, *y.shape[2:])
    return filtered(y, pad=(1, 1), gain=4) if up else y


def layer(weights, x, w, noise, up):
    x = modulated(weights["ModulatedConv_0"], x, w, up=up)
    x = x + weights["noise_strength"] * noise[:, None] + weights["bias"][None, :, None, None]
    return active(x)


def synthesis(weights, ws, noise):
    """Pictures from styles (N, layers, length), noise (N, side, side) of each layer."""
    x = weights["constant"].permute(2, 0, 1)[None].repeat(len(ws), 1, 1, 1)
    image, place, number = None, 0, 0
    while f"to_image_{number}" in weights:
        for up in (False,) if number == 0 else (True, False):
            x = layer(weights[f"layers_{place}"], x, ws[:, place], noise[place], up)
            place += 1
        last = weights[f"to_image_{number}"]
        rgb = modulated(last["ModulatedConv_0"], x, ws[:, place], demodulate=False) + last["bias"][None, :, None, None]
        image = rgb if image is None else filtered(image, up=2, pad=(2, 1), gain=4) + rgb
        number += 1
    assert place + 1 == ws.shape[1]
    return image


def deviation(x, group):
    """A channel: the deviation within groups of pictures that are a stride apart."""
    count, channels, height, width = x.shape
    group = min(group, count)
    y = x.reshape(group, -1, channels, height, width)
    y = torch.sqrt(((y - y.mean(0)) ** 2).mean(0) + 1e-8).mean((1, 2, 3))
    return torch.cat([x, y.repeat(group)[:, None, None, None].expand(count, 1, height, width)], 1)


def convolution(weights, x, down=False, pointwise_down=False):
    kernel = weights["kernel"].permute(3, 2, 0, 1)
    kernel = kernel / math.sqrt(kernel[0].numel())
    bias, side = weights.get("bias"), kernel.shape[-1]
    if pointwise_down:
        return functional.conv2d(filtered(x, down=2, pad=(1, 1)), kernel, bias)
    if down:
        return functional.conv2d(filtered(x, pad=(2, 2)), kernel, bias, stride=2)
    return functional.conv2d(x, kernel, bias, padding=side // 2)


def discriminator(weights, x, condition=None, group=4, residual=True):
    number = itertools.count()

    def following():
        return weights[f"EqualizedConv_{next(number)}"]

    x = active(convolution(following(), x))
    while x.shape[-1] > 4:
        y = active(convolution(following(), x))
        if residual:
            y = active(convolution(following(), y, down=True)) * math.sqrt(0.5)
            x = y + convolution(following(), x, pointwise_down=True) * math.sqrt(0.5)
        else:
            x = active(convolution(following(), y, down=True))
    x = active(convolution(following(), deviation(x, group)))
    x = active(linear(weights["ScaledDense_0"], x.flatten(1)))
    x = linear(weights["ScaledDense_1"], x)
    if condition is None:
        return x[:, 0]
    mapped = mapping(weights["MappingNetwork_0"], None, condition)
    return (x * mapped).sum(1) / math.sqrt(x.shape[1])


def styles(weights, draws, condition=None):
    """The styles of each layer, and those of the first latents."""
    number = sum(name.startswith("layers_") for name in weights) + 1
    w = mapping(weights["mapping"], draws["z"], condition)
    ws = w[:, None].repeat(1, number, 1)
    cutoff = int(draws["cutoff"])
    if cutoff < number:
        ws[:, cutoff:] = mapping(weights["mapping"], draws["other"], condition)[:, None]
    return ws, w


def penalty_of_paths(weights, draws, directions, average, condition=None):
    """The unweighted penalty, the styles of the first latents, and the average length after."""
    ws, w = styles(weights, draws, condition)
    images = synthesis(weights, ws, draws["noise"])
    scaled = directions / math.sqrt(images.shape[2] * images.shape[3])
    (slopes,) = torch.autograd.grad((images * scaled).sum(), ws, create_graph=True)
    lengths = slopes.square().sum(2).mean(1).sqrt()
    average = average + 0.01 * (lengths.mean() - average)
    return (lengths - average).square().mean(), w, average.detach()


def r1(weights, images, condition=None, **options):
    """½ mean of the squared slopes at real pictures."""
    images = images.detach().requires_grad_(True)
    logits = discriminator(weights, images, condition, **options)
    (slopes,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return slopes.square().sum((1, 2, 3)).mean() / 2


class Run:
    """Training as the authors' program has it, with every draw given."""

    def __init__(self, generator, judge, *, rate, betas, every, weights, half_life, ramp, group):
        self.generator, self.judge = generator, judge
        self.every, self.weights = every, weights
        self.half_life, self.ramp, self.group = half_life, ramp, group
        self.optimizers = []
        for network, interval in zip((generator, judge), every, strict=True):
            share = interval / (interval + 1)
            decays = tuple(beta**share for beta in betas)
            self.optimizers.append(torch.optim.Adam(leaves(network), lr=rate * share, betas=decays, eps=1e-8))
        self.average = [leaf.detach().clone() for leaf in leaves(generator)]
        first = generator["mapping"]["ScaledDense_0"]["kernel"].detach()
        self.average_style = torch.zeros(first.shape[1]).to(first)
        self.path_length = torch.zeros(()).to(first)
        self.step_number = 0

    def track(self, w):
        self.average_style = w.detach().mean(0).lerp(self.average_style, 0.995)

    def fakes(self, draws):
        ws, w = styles(self.generator, draws)
        self.track(w)
        return synthesis(self.generator, ws, draws["noise"])

    def descend(self, player, loss):
        network, optimizer = (self.generator, self.judge)[player], self.optimizers[player]
        optimizer.zero_grad()
        for leaf, gradient in zip(
            leaves(network), torch.autograd.grad(loss, leaves(network), allow_unused=True), strict=True
        ):
            leaf.grad = torch.zeros_like(leaf) if gradient is None else gradient
        optimizer.step()

    def step(self, images, draws):
        judge = lambda pictures: discriminator(self.judge, pictures, group=self.group)  # noqa: E731
        self.descend(0, functional.softplus(-judge(self.fakes(draws["generator"]))).mean())
        if self.step_number % self.every[0] == 0:
            penalty, w, self.path_length = penalty_of_paths(
                self.generator, draws["path"], draws["directions"], self.path_length
            )
            self.track(w)
            self.descend(0, penalty * self.weights[0] * self.every[0])
        fakes = self.fakes(draws["discriminator"]).detach()
        self.descend(1, (functional.softplus(judge(fakes)).mean() + functional.softplus(-judge(images)).mean()))
        if self.step_number % self.every[1] == 0:
            self.descend(1, r1(self.judge, images, group=self.group) * self.weights[1] * self.every[1])
        half_life = self.half_life
        if self.ramp is not None:
            half_life = min(half_life, self.step_number * len(images) * self.ramp)
        decay = 0.5 ** (len(images) / max(half_life, 1e-8))
        self.average = [
            leaf.detach().lerp(former, decay) for leaf, former in zip(leaves(self.generator), self.average, strict=True)
        ]
        self.step_number += 1


def leaves(tree):
    """The tensors of nested dictionaries, in order."""
    if isinstance(tree, torch.Tensor):
        return [tree]
    return [leaf for value in tree.values() for leaf in leaves(value)]
