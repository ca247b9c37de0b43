"""Whether a conditional GAN draws pairs of colours that it has never seen together.

    python -m benchmarks.held_out_pairs --workdir=runs/pairs
    python -m benchmarks.held_out_pairs --workdir=runs/pairs --variants=plain,interpolated --steps=2500

Of the 132 pairs of hair and eyes of the avatars, 20 are held out: no picture of them is trained on. Each variant of
`cgan_anime`, narrow and as `cgan_better.flags` has it, is then asked for them. Prints a line of JSON for each, with the
shares of samples whose colours are as asked, measured from their pixels, of pairs held out and of others; the first
line has those of drawn faces, which the measurement may get wrong, too. An interrupted run goes on.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan import systems
from jaxgan.data import avatars
from jaxgan.data.examples import Examples, from_arrays
from jaxgan.training.fitting import fit

HAIR, EYES = len(avatars.HAIR_COLOURS), len(avatars.EYE_COLOURS)
RECIPE: dict[str, Any] = {
    "generator_width": 24,
    "discriminator_width": 24,
    "batch_size": 64,
    "critic_steps": 1,
    "matching_aware": True,
    "wrong_in_one": True,
    "reuse_noise": True,
    "generator_learning_rate": 5e-4,
    "discriminator_learning_rate": 5e-4,
    "beta1": 0.5,
    "average_decay": 0.995,
}
VARIANTS: dict[str, dict[str, Any]] = {"plain": {}, "interpolated": {"interpolate_conditions": True}}


def main() -> None:
    """Trains, asks and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", required=True, help="a run of each variant goes into a folder of it")
    parser.add_argument("--variants", default=",".join(VARIANTS), help="which, with commas between")
    parser.add_argument("--steps", type=int, default=4000, help="of each variant")
    parser.add_argument("--num_examples", type=int, default=12_000, help="avatars to draw, before pairs are held out")
    parser.add_argument("--image_size", type=int, default=48, help="eyes of less than 48 pixels are measured badly")
    parser.add_argument("--held_out", type=int, default=20, help="pairs to hold out")
    parser.add_argument("--of_each", type=int, default=20, help="samples of each pair")
    parser.add_argument("--seed", type=int, default=0, help="of the pairs, the training and the samples")
    asked = parser.parse_args()
    out, others = split_pairs(asked.held_out, asked.seed)
    drawn = avatars.load(size=asked.image_size, count=asked.num_examples)
    kept = without(drawn, out)
    real = {"held out": of_pairs(drawn, out), "others": of_pairs(kept, others)}
    print(json.dumps({"faces": {name: right(*part) for name, part in real.items()}}), flush=True)
    for name in asked.variants.split(","):
        settings = RECIPE | VARIANTS[name] | {"image_size": asked.image_size, "seed": asked.seed}
        system = systems.build("cgan_anime", kept, **settings)
        state = fit(system, kept, steps=asked.steps, workdir=Path(asked.workdir) / name, sample_every=1000)
        found = {}
        for part, pairs in (("held out", out), ("others", others)):
            conditions = np.repeat([avatars.condition(*pair) for pair in pairs], asked.of_each, axis=0)
            images = system.sample(state, len(conditions), asked.seed, condition=conditions)
            found[part] = right(images, conditions)
        print(json.dumps({name: found}), flush=True)


def split_pairs(held_out: int, seed: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Chooses the pairs (hair, eyes) to hold out; returns them and the others. Each colour stays in other pairs."""
    every = [(hair, eyes) for hair in range(HAIR) for eyes in range(EYES)]
    order = np.random.default_rng(seed).permutation(len(every))
    chosen = {every[place] for place in order[:held_out]}
    return sorted(chosen), [pair for pair in every if pair not in chosen]


def without(examples: Examples, pairs: list[tuple[int, int]]) -> Examples:
    """Returns the examples that have none of these pairs."""
    keep = ~np.isin(numbers(np.asarray(examples.arrays["condition"])), [hair * EYES + eyes for hair, eyes in pairs])
    images, conditions = np.asarray(examples.arrays["image"])[keep], np.asarray(examples.arrays["condition"])[keep]
    return from_arrays(images, conditions, condition_names=examples.condition_names)


def of_pairs(examples: Examples, pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the pictures and conditions (n, 23) of the examples that have these pairs."""
    keep = np.isin(numbers(np.asarray(examples.arrays["condition"])), [hair * EYES + eyes for hair, eyes in pairs])
    return np.asarray(examples.arrays["image"])[keep], np.asarray(examples.arrays["condition"])[keep]


def numbers(conditions: np.ndarray) -> np.ndarray:
    """Returns the number of each condition's pair, (n,)."""
    return conditions[:, :HAIR].argmax(1) * EYES + conditions[:, HAIR:].argmax(1)


def right(images: np.ndarray, conditions: np.ndarray) -> dict[str, float]:
    """Returns the shares of pictures with the hair, the eyes, and both as asked, and their number."""
    hair = avatars.measure_hair_colour(images) == conditions[:, :HAIR].argmax(1)
    eyes = avatars.measure_eye_colour(images) == conditions[:, HAIR:].argmax(1)
    shares = {"hair": hair.mean(), "eyes": eyes.mean(), "both": (hair & eyes).mean()}
    return {"number": len(images), **{name: round(float(share), 4) for name, share in shares.items()}}


if __name__ == "__main__":
    main()
