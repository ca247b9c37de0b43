"""StyleGAN2's networks as modules, with both ways to apply a kernel that differs from example to example.

"grouped" makes the kernel of each and convolves in as many groups; "scaled" has one kernel, and scales what goes into
it and what comes out of it.

The arithmetic is that of the reference in `tests/reference/torch_stylegan2.py`, whose functions take the library's
weights. Here kernels lie as PyTorch wants them, padding is left to the convolutions, and an upsampling filter is a
transposed convolution.
"""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from benchmarks.torch_networks import reference

torch_stylegan2 = reference("torch_stylegan2")

MAPPING_RATE = 0.01


def activate(x: torch.Tensor, gain: float = math.sqrt(2)) -> torch.Tensor:
    x = functional.leaky_relu(x, 0.2)
    return x if gain == 1.0 else x.mul_(gain)


class Filter(nn.Module):
    """The filter [1, 3, 3, 1] in both directions, of each channel by itself."""

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("kernel", (torch_stylegan2.FILTER * gain).float()[None, None], persistent=False)

    def forward(self, x: torch.Tensor, padding: int, stride: int = 1) -> torch.Tensor:
        channels = x.shape[1]
        return functional.conv2d(x, self.kernel.expand(channels, 1, 4, 4), None, stride, padding, groups=channels)

    def doubled(self, x: torch.Tensor) -> torch.Tensor:
        """Doubles pictures."""
        channels = x.shape[1]
        return functional.conv_transpose2d(x, self.kernel.expand(channels, 1, 4, 4), None, 2, 1, groups=channels)


class Linear(nn.Module):
    """An equalised linear layer that learns at a rate of its own."""

    def __init__(self, inputs: int, outputs: int, rate: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.gain, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self.weight * self.gain, self.bias * self.rate)


class Convolution(nn.Module):
    """An equalised convolution."""

    def __init__(self, inputs: int, outputs: int, side: int, *, bias: bool = True, stride: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.gain, self.stride = 1 / math.sqrt(inputs * side**2), stride
        self.padding = side // 2 if stride == 1 else 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(x, self.weight * self.gain, self.bias, self.stride, self.padding)


class Modulated(nn.Module):
    """A convolution whose kernel a style multiplies; the kernel of a doubling one is (in, out, k, k)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        side: int,
        style: int,
        form: str,
        *,
        doubling: bool = False,
        plain: bool = False,
    ) -> None:
        super().__init__()
        shape = (inputs, outputs) if doubling else (outputs, inputs)
        self.weight = nn.Parameter(torch.randn(*shape, side, side))
        self.style = Linear(style, inputs, bias=1.0)
        self.form, self.doubling, self.plain = form, doubling, plain
        self.filter = Filter(gain=4.0) if doubling else None

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        style = self.style(w)
        if self.plain:  # without normalisation
            style = style * (1 / math.sqrt(style.shape[1] * self.weight.shape[-1] ** 2))
        y = self._grouped(x, style) if self.form == "grouped" else self._scaled(x, style)
        return y if self.filter is None else self.filter(y, padding=1)

    def _grouped(self, x: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        count, channels, height, width = x.shape
        inner = style[:, :, None, None, None] if self.doubling else style[:, None, :, None, None]
        kernel = self.weight * inner
        if not self.plain:
            axes = (1, 3, 4) if self.doubling else (2, 3, 4)
            kernel = kernel * (kernel.square().sum(axes, keepdim=True) + 1e-8).rsqrt()
        x = x.reshape(1, count * channels, height, width)
        y = self._convolved(x, kernel.flatten(0, 1), groups=count)
        return y.reshape(count, -1, *y.shape[2:])

    def _scaled(self, x: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        y = self._convolved(x * style[:, :, None, None], self.weight)
        if self.plain:
            return y
        squares = self.weight.square().sum((2, 3))
        lengths = style.square() @ (squares if self.doubling else squares.t()) + 1e-8
        return y * lengths.rsqrt()[:, :, None, None]

    def _convolved(self, x: torch.Tensor, kernel: torch.Tensor, groups: int = 1) -> torch.Tensor:
        if self.doubling:
            return functional.conv_transpose2d(x, kernel, stride=2, groups=groups)
        return functional.conv2d(x, kernel, padding=kernel.shape[-1] // 2, groups=groups)


class Layer(nn.Module):
    """A modulated convolution, noise, bias and LeakyReLU."""

    def __init__(self, inputs: int, outputs: int, side: int, style: int, form: str, *, doubling: bool = False) -> None:
        super().__init__()
        self.convolution = Modulated(inputs, outputs, 3, style, form, doubling=doubling)
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.side = side

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        noise = torch.randn(len(x), 1, self.side, self.side, device=x.device)
        x = self.convolution(x, w)
        return activate(x + self.noise_strength * noise + self.bias[:, None, None])


class ToImage(nn.Module):
    def __init__(self, inputs: int, colours: int, style: int, form: str) -> None:
        super().__init__()
        self.convolution = Modulated(inputs, colours, 1, style, form, plain=True)
        self.bias = nn.Parameter(torch.zeros(colours))

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return self.convolution(x, w) + self.bias[:, None, None]


class Generator(nn.Module):
    """The mapping and the synthesis; `widths` are the channels of 4×4, 8×8, and so on."""

    def __init__(self, widths: Sequence[int], colours: int, latent_dim: int, mapping_layers: int, form: str) -> None:
        super().__init__()
        self.mapping = nn.ModuleList(Linear(latent_dim, latent_dim, MAPPING_RATE) for _ in range(mapping_layers))
        self.constant = nn.Parameter(torch.randn(1, widths[0], 4, 4))
        layers = [Layer(widths[0], widths[0], 4, latent_dim, form)]
        for number, (before, after) in enumerate(itertools.pairwise(widths), 1):
            side = 4 << number
            layers.append(Layer(before, after, side, latent_dim, form, doubling=True))
            layers.append(Layer(after, after, side, latent_dim, form))
        self.layers = nn.ModuleList(layers)
        self.to_image = nn.ModuleList(ToImage(width, colours, latent_dim, form) for width in widths)
        self.filter = Filter(gain=4.0)
        self.styles = len(layers) + 1

    def map(self, z: torch.Tensor) -> torch.Tensor:
        """Maps latents (N, L) to styles (N, L)."""
        x = torch_stylegan2.unit(z)
        for layer in self.mapping:
            x = activate(layer(x))
        return x

    def forward(self, ws: torch.Tensor) -> torch.Tensor:
        """Maps styles (N, styles, L) to pictures, with new noise."""
        x = self.constant.expand(len(ws), -1, -1, -1)
        image = None
        for place, layer in enumerate(self.layers):
            x = layer(x, ws[:, place])
            if place % 2 == 0:
                added = self.to_image[place // 2](x, ws[:, place + 1])
                image = added if image is None else self.filter.doubled(image) + added
        return image


class Block(nn.Module):
    """A residual halving."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = Convolution(before, before, 3)
        self.second = Convolution(before, after, 3, stride=2)
        self.past = Convolution(before, after, 1, bias=False)
        self.filter = Filter()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = activate(self.second(self.filter(activate(self.first(x)), padding=2)), gain=1.0)
        return y + self.past(self.filter(x, padding=1, stride=2)) * math.sqrt(0.5)


class Discriminator(nn.Module):
    """Logits (N,) of pictures; `widths` as of the generator."""

    def __init__(self, widths: Sequence[int], colours: int, group: int) -> None:
        super().__init__()
        self.first = Convolution(colours, widths[-1], 1)
        pairs = zip(widths[::-1], widths[-2::-1], strict=False)
        self.blocks = nn.ModuleList(Block(before, after) for before, after in pairs)
        self.last = Convolution(widths[0] + 1, widths[0], 3)
        self.dense = Linear(16 * widths[0], widths[0])
        self.logit = Linear(widths[0], 1)
        self.group = group

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = activate(self.first(x))
        for block in self.blocks:
            x = block(x)
        x = activate(self.last(torch_stylegan2.deviation(x, self.group)))
        return self.logit(activate(self.dense(x.flatten(1))))[:, 0]
