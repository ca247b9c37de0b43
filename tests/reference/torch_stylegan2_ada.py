"""StyleGAN2-ADA's networks as PyTorch modules, whose state dicts have the names and layouts of the authors' program."""

import math

import torch
from torch import nn
from torch.nn import functional

from reference.torch_stylegan2 import FILTER, active, deviation, filtered, unit


class Filtered(nn.Module):
    """A module that keeps a copy of the filter."""

    def __init__(self):
        super().__init__()
        self.register_buffer("resample_filter", FILTER.float())


class Linear(nn.Module):
    def __init__(self, inputs, outputs, rate=1.0, bias=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full([outputs], float(bias)))
        self.rate = rate

    def forward(self, x):
        weight = self.weight * (self.rate / math.sqrt(self.weight.shape[1]))
        return functional.linear(x, weight, self.bias * self.rate)


class Mapping(nn.Module):
    def __init__(self, latent, condition, width, layers, average=True):
        super().__init__()
        if condition:
            self.embed = Linear(condition, width)
        for number in range(layers):
            inputs = latent + width * (condition > 0) if number == 0 else width
            setattr(self, f"fc{number}", Linear(inputs, width, rate=0.01))
        if average:
            self.register_buffer("w_avg", torch.randn(width))
        self.number = layers

    def forward(self, z, condition):
        parts = [] if z is None else [unit(z)]
        if condition is not None:
            parts.append(unit(self.embed(condition)))
        x = torch.cat(parts, 1)
        for number in range(self.number):
            x = active(getattr(self, f"fc{number}")(x))
        return x


class Layer(Filtered):
    """Modulated convolution with noise; `conv0` doubles."""

    def __init__(self, inputs, outputs, style, side, up):
        super().__init__()
        self.affine = Linear(style, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.register_buffer("noise_const", torch.randn(side, side))
        self.noise_strength = nn.Parameter(torch.randn([]))
        self.bias = nn.Parameter(torch.randn(outputs))
        self.up = up

    def forward(self, x, w):
        count = len(x)
        own = self.weight[None] * self.affine(w)[:, None, :, None, None]
        own = own * (own.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        x = x.reshape(1, -1, *x.shape[2:])
        if self.up:
            x = functional.conv_transpose2d(x, own.transpose(1, 2).flatten(0, 1), stride=2, groups=count)
        else:
            x = functional.conv2d(x, own.flatten(0, 1), padding=1, groups=count)
        x = x.reshape(count, -1, *x.shape[2:])
        x = filtered(x, pad=(1, 1), gain=4) if self.up else x
        return active(x + self.noise_const * self.noise_strength + self.bias[:, None, None])


class ToRGB(nn.Module):
    def __init__(self, inputs, colours, style):
        super().__init__()
        self.affine = Linear(style, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(colours, inputs, 1, 1))
        self.bias = nn.Parameter(torch.randn(colours))

    def forward(self, x, w):
        styles = self.affine(w) / math.sqrt(x.shape[1])
        return functional.conv2d(x * styles[:, :, None, None], self.weight, self.bias)


class SynthesisBlock(Filtered):
    def __init__(self, inputs, outputs, style, side, colours):
        super().__init__()
        if side == 4:
            self.const = nn.Parameter(torch.randn(outputs, 4, 4))
        else:
            self.conv0 = Layer(inputs, outputs, style, side, up=True)
        self.conv1 = Layer(outputs, outputs, style, side, up=False)
        self.torgb = ToRGB(outputs, colours, style)
        self.side = side

    def forward(self, x, image, ws):
        if self.side == 4:
            x = self.const[None].repeat(len(ws), 1, 1, 1)
        else:
            x, ws = self.conv0(x, ws[:, 0]), ws[:, 1:]
        x, rgb = self.conv1(x, ws[:, 0]), None
        rgb = self.torgb(x, ws[:, 1])
        return x, rgb if image is None else filtered(image, up=2, pad=(2, 1), gain=4) + rgb


class Synthesis(nn.Module):
    def __init__(self, sides, widths, style, colours):
        super().__init__()
        self.sides = sides
        for side in sides:
            setattr(self, f"b{side}", SynthesisBlock(widths.get(side // 2), widths[side], style, side, colours))

    def forward(self, ws):
        x = image = None
        first = 0
        for side in self.sides:
            x, image = getattr(self, f"b{side}")(x, image, ws[:, first:])
            first += 1 if side == 4 else 2
        return image


class Generator(nn.Module):
    def __init__(self, sides, widths, latent, condition=0, layers=8, colours=3):
        super().__init__()
        self.mapping = Mapping(latent, condition, latent, layers)
        self.synthesis = Synthesis(sides, widths, latent, colours)
        self.styles = 2 * len(sides)

    def forward(self, z, condition=None, psi=1.0):
        w = self.mapping(z, condition)
        w = self.mapping.w_avg + psi * (w - self.mapping.w_avg)
        return self.synthesis(w[:, None].repeat(1, self.styles, 1))


class Conv(Filtered):
    def __init__(self, inputs, outputs, side, bias=True):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.bias = nn.Parameter(torch.randn(outputs)) if bias else None

    def forward(self, x, stride=1, padding=0):
        weight = self.weight / math.sqrt(self.weight[0].numel())
        return functional.conv2d(x, weight, self.bias, stride=stride, padding=padding)


class DiscriminatorBlock(Filtered):
    def __init__(self, inputs, outputs, colours):
        super().__init__()
        if colours:
            self.fromrgb = Conv(colours, inputs, 1)
        self.conv0 = Conv(inputs, inputs, 3)
        self.conv1 = Conv(inputs, outputs, 3)
        self.skip = Conv(inputs, outputs, 1, bias=False)

    def forward(self, x):
        x = active(self.fromrgb(x)) if hasattr(self, "fromrgb") else x
        past = self.skip(filtered(x, down=2, pad=(1, 1))) * math.sqrt(0.5)
        x = active(self.conv0(x, padding=1))
        return past + active(self.conv1(filtered(x, pad=(2, 2)), stride=2)) * math.sqrt(0.5)


class Epilogue(nn.Module):
    def __init__(self, width, outputs, group):
        super().__init__()
        self.conv = Conv(width + 1, width, 3)
        self.fc = Linear(16 * width, width)
        self.out = Linear(width, outputs)
        self.group = group

    def forward(self, x):
        x = active(self.conv(deviation(x, self.group), padding=1))
        return self.out(active(self.fc(x.flatten(1))))


class Discriminator(nn.Module):
    def __init__(self, sides, widths, condition=0, colours=3, group=4):
        super().__init__()
        self.sides = sides[:0:-1]
        for side in self.sides:
            block = DiscriminatorBlock(widths[side], widths[side // 2], colours if side == sides[-1] else 0)
            setattr(self, f"b{side}", block)
        if condition:
            self.mapping = Mapping(0, condition, widths[4], 8, average=False)
        self.b4 = Epilogue(widths[4], widths[4] if condition else 1, group)

    def forward(self, x, condition=None):
        for side in self.sides:
            x = getattr(self, f"b{side}")(x)
        x = self.b4(x)
        if condition is None:
            return x[:, 0]
        return (x * self.mapping(None, condition)).sum(1) / math.sqrt(x.shape[1])
