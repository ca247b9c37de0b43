"""ProGAN in PyTorch, written as its authors' program computes it, and not as this library does.

Pictures always have full size, small ones by repetition; all stages are computed, and a level of detail, `lod`, says
what counts: 0 is full size, 1 half of it, 0.3 a mixture. Parameters are a nested dictionary of tensors with the names
and the layout of this library; nothing else is shared.
"""

import math

import torch
from torch.nn import functional

RELU = math.sqrt(2)


def he(kernel, gain=RELU):
    """The kernel as it is applied: its variance is gain² / inputs."""
    return kernel * (gain / math.sqrt(kernel[..., 0].numel()))


def conv(x, layer, gain=RELU):
    kernel = he(layer["kernel"], gain).permute(3, 2, 0, 1)
    return functional.conv2d(x, kernel, padding=kernel.shape[-1] // 2)


def bias(x, values):
    return x + values.reshape(1, -1, 1, 1)


def activate(x):
    return functional.leaky_relu(x, 0.2)


def pixel_norm(x):
    return x / torch.sqrt(x.square().mean(1, keepdim=True) + 1e-8)


def double(x):
    return functional.interpolate(x, scale_factor=2, mode="nearest")


def halve(x):
    return functional.avg_pool2d(x, 2)


def lerp(a, b, share):
    return a + (b - a) * share


def sides_of(params, prefix):
    return sorted(int(name.rpartition("_")[2]) for name in params if name.startswith(prefix))


def generator(params, z, lod):
    """Pictures (N, C, full, full) from latents (N, L)."""
    first, *others = sides_of(params, "to_rgb_")
    x = pixel_norm(z) @ he(params["dense_4"]["kernel"], RELU / 4)
    x = pixel_norm(activate(bias(x.reshape(len(z), -1, 4, 4), params["bias_4"])))
    x = pixel_norm(activate(bias(conv(x, params["conv_4"]), params["conv_4"]["bias"])))

    def to_rgb(side):
        layer = params[f"to_rgb_{side}"]
        return bias(conv(x, layer, 1.0), layer["bias"])

    image = to_rgb(first)
    for index, side in enumerate(others, 1):
        for layer, enlarge in ((params[f"conv_{side}_up"], double), (params[f"conv_{side}"], lambda x: x)):
            x = pixel_norm(activate(bias(conv(enlarge(x), layer), layer["bias"])))
        image = lerp(to_rgb(side), double(image), min(max(lod - (len(others) - index), 0.0), 1.0))
    return image


def deviation(x, group_size):
    """The channel of the standard deviation: one number for the pictures i, i + M, i + 2M, … of M groups."""
    groups = len(x) // min(group_size, len(x))
    channel = torch.empty(len(x), 1, *x.shape[2:], dtype=x.dtype)
    for group in range(groups):
        members = x[group::groups]
        variance = (members - members.mean(0)).square().mean(0)
        channel[group::groups] = torch.sqrt(variance + 1e-8).mean()
    return torch.cat([x, channel], 1)


def discriminator(params, image, lod, group_size):
    """Logits (N,) of pictures (N, C, full, full)."""
    sides = sides_of(params, "from_rgb_")

    def from_rgb(side):
        layer = params[f"from_rgb_{side}"]
        return activate(bias(conv(image, layer), layer["bias"]))

    x = from_rgb(sides[-1])
    for index in range(len(sides) - 1, 0, -1):
        side = sides[index]
        x = activate(bias(conv(x, params[f"conv_{side}"]), params[f"conv_{side}"]["bias"]))
        down = params[f"conv_{side}_down"]
        x = activate(bias(halve(conv(x, down)), down["bias"]))
        image = halve(image)
        x = lerp(x, from_rgb(sides[index - 1]), min(max(lod - (len(sides) - 1 - index), 0.0), 1.0))
    x = activate(bias(conv(deviation(x, group_size), params["conv_4"]), params["conv_4"]["bias"]))
    x = activate(x.reshape(len(x), -1) @ he(params["dense_4"]["kernel"]) + params["dense_4"]["bias"])
    return (x @ he(params["logit"]["kernel"], 1.0) + params["logit"]["bias"])[:, 0]


def penalty(params, real, fake, shares, lod, group_size):
    """10 (‖∇D‖ − 1)² at full size, with one share of `fake` a picture."""
    points = lerp(real, fake, shares).detach().requires_grad_()
    [slope] = torch.autograd.grad(discriminator(params, points, lod, group_size).sum(), points, create_graph=True)
    return 10 * (slope.square().sum((1, 2, 3)).sqrt() - 1).square().mean()


def process_reals(image, lod):
    """Real pictures (N, C, full, full) as those of a level of detail, repeated to full size."""
    factor = 2 ** math.floor(lod)
    small = functional.avg_pool2d(image, factor)
    small = lerp(small, double(halve(small)), lod - math.floor(lod))
    return functional.interpolate(small, scale_factor=factor, mode="nearest")


def lod_after(pictures, full, stable, fade):
    """The level of detail once so many pictures have been seen, beginning with 4×4."""
    phase = pictures // (stable + fade)
    faded = max(pictures - phase * (stable + fade) - stable, 0) / fade
    return max(math.log2(full) - 2 - phase - faded, 0.0)


def leaves(tree):
    return [leaf for value in tree.values() for leaf in (leaves(value) if isinstance(value, dict) else [value])]


class Training:
    """Both networks in training; all draws are given."""

    def __init__(self, generator_params, discriminator_params, average, *, full, group_size, batches, rates, kimg):
        self.generator, self.discriminator, self.average = generator_params, discriminator_params, average
        self.full, self.group_size, self.batches, self.rates, self.kimg = full, group_size, batches, rates, kimg
        self.pictures, self.lod, self.adam = 0, None, []

    def step(self, images, latents, shares):
        """Takes a step with pictures (N, C, full, full), latents of D and of G, and shares (N, 1, 1, 1)."""
        lod = lod_after(self.pictures, self.full, *self.kimg)
        side = self.full // 2 ** math.floor(lod)
        assert len(images) == self.batches[side]
        rounded = math.floor(lod), math.ceil(lod)
        if rounded != self.lod:
            self.lod = rounded
            self.adam = [
                torch.optim.Adam(leaves(params), lr=1.0, betas=(0.0, 0.99), eps=1e-8)
                for params in (self.generator, self.discriminator)
            ]
        for adam in self.adam:
            adam.param_groups[0]["lr"] = self.rates[side]

        real = process_reals(images, lod)
        with torch.no_grad():
            fake = generator(self.generator, latents[0], lod)
        logits = [discriminator(self.discriminator, shown, lod, self.group_size) for shown in (real, fake)]
        slopes = penalty(self.discriminator, real, fake, shares, lod, self.group_size)
        distance = logits[1].mean() - logits[0].mean()
        self.descend(1, distance + slopes + 0.001 * logits[0].square().mean())

        with torch.no_grad():
            for average, weight in zip(leaves(self.average), leaves(self.generator), strict=True):
                average.copy_(0.999 * average + 0.001 * weight)

        made = generator(self.generator, latents[1], lod)
        g_loss = -discriminator(self.discriminator, made, lod, self.group_size).mean()
        self.descend(0, g_loss)
        self.pictures += len(images)
        return {
            "d_loss": distance.item(),
            "d_penalty": slopes.item(),
            "g_loss": g_loss.item(),
            "d_real": logits[0].mean().item(),
            "d_fake": logits[1].mean().item(),
            "size": side,
            "alpha": 1 - (lod - math.floor(lod)),
        }

    def descend(self, player, loss):
        params = leaves((self.generator, self.discriminator)[player])
        for weight, gradient in zip(params, torch.autograd.grad(loss, params), strict=True):
            weight.grad = gradient
        self.adam[player].step()
