"""What PyTorch's training steps have in common: how they are timed, how batches are drawn, how networks learn."""

import abc
import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks import machine
from benchmarks.workload import cycle
from experiments.run.recipes import Recipe, default_recipe
from jaxgan.host.errors import UserError


class TimedStep(abc.ABC):
    """A training step that is timed; a call is a whole cycle of steps of a system that does some of its work rarely.

    Args:
      recipe: what is trained.
      channels_last: the memory format of pictures and kernels; False: contiguous.
    """

    batches = 1  # of a step, each with pictures of its own

    def __init__(self, recipe: Recipe, *, channels_last: bool) -> None:
        self.recipe, self.channels_last, self.batch_size = recipe, channels_last, recipe.batch_size
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(recipe.seed)

    @property
    @abc.abstractmethod
    def networks(self) -> Mapping[str, nn.Module]:
        """What learns, by name."""

    @abc.abstractmethod
    def step(self) -> None:
        """Takes one training step."""

    def facts(self) -> dict[str, Any]:
        """Returns what a comparison needs to know."""
        name = torch.cuda.get_device_name(0) if self.device.type == "cuda" else f"{torch.get_num_threads()} threads"
        images = self.batch_size * self.batches * cycle(self.recipe)
        return {"images_per_call": images, "device": f"{self.device.type} {name}"}

    def run(self, calls: int) -> float:
        """Trains for so many cycles; returns the seconds that they took."""
        return self.train(calls * cycle(self.recipe))

    def train(self, steps: int) -> float:
        """Trains for so many steps; returns the seconds that they took."""
        began = time.perf_counter()
        for _ in range(steps):
            self.step()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    def measure(self) -> dict[str, Any]:
        """Measures peak memory."""
        if self.device.type == "cuda":
            return {"peak_memory_mb": round(torch.cuda.max_memory_allocated() / 1e6, 1)}
        return {"peak_memory_mb": machine.peak_memory_mb()}

    def placed(self, network: nn.Module) -> nn.Module:
        """Puts a network on the device, in the memory format, in training mode."""
        network = network.to(self.device).train()
        return network.to(memory_format=torch.channels_last) if self.channels_last else network

    def source(self, arrays: Mapping[str, np.ndarray], *, unit: bool = False) -> "Source":
        """Puts arrays on the device, to draw batches from."""
        return Source(arrays, self.batch_size, device=self.device, channels_last=self.channels_last, lowest=-1.0 + unit)


class Source:
    """Arrays on the device, as bytes, and batches of them in an order that is new each time all have been drawn.

    Args:
      arrays: by name, of one length: pictures (N, H, W, C), and vectors.
      batch_size: of a batch.
      device: where they are.
      channels_last: the memory format of the batches.
      lowest: the value of a black pixel, −1 or 0; a white one has 1.
    """

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        batch_size: int,
        *,
        device: torch.device,
        channels_last: bool,
        lowest: float,
    ) -> None:
        self.batch_size, self.device, self.channels_last = batch_size, device, channels_last
        self.middle, self.half = (127.5, 127.5) if lowest else (0.0, 255.0)
        self.arrays = {name: self._placed(torch.from_numpy(np.array(array))) for name, array in arrays.items()}
        self.count = len(next(iter(self.arrays.values())))
        self.position = self.count

    def _placed(self, array: torch.Tensor) -> torch.Tensor:
        pictures = array.ndim == 4 and not self.channels_last
        return (array.permute(0, 3, 1, 2).contiguous() if pictures else array).to(self.device)

    def batch(self) -> dict[str, torch.Tensor]:
        """Draws the next batch: pictures (N, C, H, W) and other bytes in float32, numbers as they are."""
        if self.position + self.batch_size > self.count:
            self.order, self.position = torch.randperm(self.count, device=self.device), 0
        numbers = self.order[self.position : self.position + self.batch_size]
        self.position += self.batch_size
        return {name: self._taken(array[numbers]) for name, array in self.arrays.items()}

    def _taken(self, array: torch.Tensor) -> torch.Tensor:
        if array.ndim != 4:
            return array.float() if array.dtype == torch.uint8 else array
        array = array.permute(0, 3, 1, 2) if self.channels_last else array
        return (array.float() - self.middle) / self.half


def refuse(recipe: Recipe, *names: str) -> None:
    """Raises a UserError for a setting that is not as the system has it: the two sides would compute other things."""
    for name in names:
        if getattr(recipe, name) != getattr(default_recipe(recipe.model), name):
            raise UserError(f"--{name}: PyTorch's {recipe.model} does not know it; give --peer=none")


def adam(networks: Sequence[nn.Module], rate: float, betas: tuple[float, float], eps: float = 1e-8) -> Any:
    """Builds one Adam for what is trained of some networks."""
    parameters = [p for network in networks for p in network.parameters() if p.requires_grad]
    return torch.optim.Adam(parameters, lr=rate, betas=betas, eps=eps)


def descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    """Takes a step down the gradient of a loss."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def cross_entropy(logits: torch.Tensor, target: float) -> torch.Tensor:
    """Computes the mean binary cross-entropy against one target."""
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


@contextlib.contextmanager
def fixed(*networks: nn.Module) -> Iterator[None]:
    """Spares the gradients of networks that only pass on what others learn from."""
    learning = [p for network in networks for p in network.parameters() if p.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    yield
    for parameter in learning:
        parameter.requires_grad_(True)


def follow(average: Sequence[torch.Tensor], parameters: Sequence[torch.Tensor], decay: float) -> None:
    """Moves an average towards parameters."""
    with torch.no_grad():
        torch._foreach_lerp_(list(average), list(parameters), 1.0 - decay)


def jittered(pictures: Sequence[torch.Tensor], *, enlarge: int, flip: bool) -> list[torch.Tensor]:
    """Enlarges pictures (N, C, H, W), cuts a random part of their first size out, and mirrors half of them.

    An example has one part and one mirroring in all pictures.
    """
    (count, _, height, width), device = pictures[0].shape, pictures[0].device
    found = list(pictures)
    if enlarge:
        corners = torch.randint(0, enlarge + 1, (count, 2)).tolist()
        for place, picture in enumerate(found):
            larger = functional.interpolate(picture, (height + enlarge, width + enlarge), mode="bilinear")
            parts = [
                one[..., top : top + height, left : left + width]
                for one, (top, left) in zip(larger.split(1), corners, strict=True)
            ]
            found[place] = torch.cat(parts)
    if flip:
        mirrored = torch.rand(count, 1, 1, 1, device=device) < 0.5
        found = [torch.where(mirrored, picture.flip(3), picture) for picture in found]
    return found
