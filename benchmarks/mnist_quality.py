"""What a run on MNIST has learnt, beside the same recipe in PyTorch: a grid of each, the class histogram, and the FID.

    python -m experiments.gan --flagfile=mnist.flags --epochs=20 --workdir=W
    python -m benchmarks.mnist_quality --workdir=W --out=docs

Needs PyTorch. Prints one JSON object; writes mlp_b_jaxgan.png and mlp_b_pytorch.png.
"""

import dataclasses
import json
import time
from pathlib import Path

import jax
import numpy as np
import torch

from experiments import command
from experiments.pictures import load_pictures
from experiments.recipes import Recipe, option
from experiments.restore import Run, load_run
from jaxgan import images, sampling
from jaxgan.metrics import features, scores
from tests.reference import torch_networks


@dataclasses.dataclass(frozen=True)
class Quality:
    workdir: str | None = option(None, "the run of mlp_b on MNIST")
    out: str = option("docs", "where the grids go")
    num: int = option(10_000, "pictures of each side")


def torch_pictures(recipe: Recipe, pixels: np.ndarray, steps: int, count: int) -> np.ndarray:
    """Pictures, uint8 (count, 28, 28, 1), of the recipe trained for as many steps in PyTorch."""
    torch.manual_seed(recipe.seed)
    generator, discriminator = torch_networks.build("mlp_b")
    betas = (recipe.beta1, recipe.beta2)
    d_optimizer = torch.optim.Adam(discriminator.parameters(), recipe.discriminator_learning_rate, betas)
    g_optimizer = torch.optim.Adam(generator.parameters(), recipe.generator_learning_rate, betas)
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    data = torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2)
    ones, zeros = torch.ones(recipe.batch_size), torch.zeros(recipe.batch_size)
    for step in range(steps):
        start = step * recipe.batch_size % len(data)
        if start == 0:
            order = torch.randperm(len(data))
        real = (data[order[start : start + recipe.batch_size]].float() - 127.5) / 127.5
        fake = generator(torch.randn(recipe.batch_size, 64)).detach()
        d_optimizer.zero_grad()
        (loss(discriminator(real), ones) + loss(discriminator(fake), zeros)).backward()
        d_optimizer.step()
        g_optimizer.zero_grad()
        loss(discriminator(generator(torch.randn(recipe.batch_size, 64))), ones).backward()
        g_optimizer.step()
    with torch.no_grad():
        made = generator(torch.randn(count, 64)).permute(0, 2, 3, 1).numpy()
    return np.clip(np.round(made * 127.5 + 127.5), 0, 255).astype(np.uint8)


def main() -> None:
    asked = Quality(**command.given_flags(Quality))
    run: Run = load_run(asked.workdir)
    train, test = load_pictures(run.recipe), load_pictures(run.recipe, "test")
    z = sampling.fixed_latents(jax.random.key(1), run.gan, asked.num)
    began = time.perf_counter()
    theirs = torch_pictures(run.recipe, train.images, run.step, asked.num)
    seconds = time.perf_counter() - began
    sides = {"jaxgan": sampling.generate(run.gan, run.state.sampling_variables, z), "pytorch": theirs}
    network = features.load("mnist", train, test)
    reference = scores.make_reference(network, np.asarray(test.images), split="test")
    found: dict[str, object] = {"steps": run.step, "pytorch_seconds": round(seconds, 1)}
    for name, pictures in sides.items():
        images.save_png(Path(asked.out) / f"mlp_b_{name}.png", images.grid(pictures[:64], 8))
        found[name] = scores.score_pictures(pictures, reference)
    print(json.dumps(found))


if __name__ == "__main__":
    command.define_flags(Quality)
    command.run(main)
