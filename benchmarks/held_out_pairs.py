"""Whether a conditional GAN draws pairs of colours that it has never seen together.

    python -m benchmarks.held_out_pairs --workdir=runs/pairs
    python -m benchmarks.held_out_pairs --workdir=runs/pairs --variants=plain,interpolated --steps=4000

Of the 132 pairs of hair and eyes of the avatars, 20 are held out: no picture of them is trained on. Each variant of
`cgan_better.flags` is then asked for them. Prints a line of JSON for each, with the shares of samples whose colours are
as asked, of pairs held out and of others, as two judges see them: the classifier that `experiments.evaluate` trains,
which has learnt drawn faces of all pairs, and votes of the pixels. The first line has what both say of drawn faces that
neither the networks nor the classifier have learnt from. A grid of samples, one row for each pair held out, lies
in the folder of each run. An interrupted run goes on.
"""

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np

from experiments.cli.flag_files import SHIPPED
from experiments.run.recipes import Recipe, read_recipe_flags, resolve
from experiments.run.references import load_pictures, teaching_pictures
from experiments.run.start import build_system
from jaxgan import systems
from jaxgan.data import avatars
from jaxgan.data.examples import Examples, from_arrays
from jaxgan.host import images as picture_files
from jaxgan.metrics import features
from jaxgan.metrics.features import FeatureNetwork
from jaxgan.training.fitting import fit

HAIR, EYES = len(avatars.HAIR_COLOURS), len(avatars.EYE_COLOURS)
VARIANTS = {"plain": False, "interpolated": True}
"""Whether the generator also learns from means of two conditions (`--interpolate_conditions`), by variant."""
SHOWN = 12  # samples of each pair in the grid


def main() -> None:
    """Trains, asks and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", required=True, help="a run of each variant goes into a folder of it")
    parser.add_argument("--variants", default=",".join(VARIANTS), help="which, with commas between")
    parser.add_argument("--steps", type=int, help="of each variant; default: those of the flag file")
    parser.add_argument("--num_examples", type=int, help="avatars, before pairs are held out; default: as in the file")
    parser.add_argument("--image_size", type=int, help="below 48, pixels tell eyes badly; default: as in the file")
    parser.add_argument("--held_out", type=int, default=20, help="pairs to hold out")
    parser.add_argument("--of_each", type=int, default=50, help="samples of each pair")
    parser.add_argument("--seed", type=int, default=0, help="of the pairs, the training and the samples")
    asked = parser.parse_args()
    given = {name: getattr(asked, name) for name in ("steps", "num_examples", "image_size")}
    recipe = recipe_of({name: value for name, value in given.items() if value is not None}, asked.seed)
    out, others = split_pairs(asked.held_out, asked.seed)
    taught, unseen = teaching_pictures(recipe)
    network = features.load(str(recipe.dataset), taught, unseen)
    real = {"held out": of_pairs(unseen, out), "others": of_pairs(unseen, others)}
    print(json.dumps({"faces": {name: judged(network, *part) for name, part in real.items()}}), flush=True)
    kept = without(load_pictures(recipe), out)
    for name in asked.variants.split(","):
        system = build_system(dataclasses.replace(recipe, interpolate_conditions=VARIANTS[name]), kept)
        folder = Path(asked.workdir) / name
        state = fit(system, kept, steps=recipe.steps or 0, workdir=folder, sample_every=recipe.sample_every)
        found = {}
        for part, pairs in (("held out", out), ("others", others)):
            conditions = np.repeat([avatars.condition(*pair) for pair in pairs], asked.of_each, axis=0)
            images = system.sample(state, len(conditions), asked.seed, condition=conditions)
            found[part] = judged(network, images, conditions)
            if part == "held out":
                save_grid(folder / "held_out.png", images, asked.of_each)
        print(json.dumps({name: found}), flush=True)


def recipe_of(given: dict[str, int], seed: int) -> Recipe:
    """Returns the recipe of `cgan_better.flags` with what was given in its place."""
    flags = read_recipe_flags(SHIPPED / "cgan_better.flags")
    return resolve(flags | given | {"seed": seed}, systems.names())


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


def judged(network: FeatureNetwork, images: np.ndarray, conditions: np.ndarray) -> dict[str, int | dict[str, float]]:
    """Returns how many pictures there are, and what both judges find right in them."""
    return {
        "number": len(images),
        "classifier": right(seen_by_classifier(network, images), conditions),
        "pixels": right(seen_in_pixels(images), conditions),
    }


def seen_by_classifier(network: FeatureNetwork, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the hair and the eyes, numbers (n,) each, that a network with these two heads finds in pictures."""
    logits = network.apply(images).logits
    assert logits is not None
    heads = {head.name: head for head in network.heads}
    return logits[:, heads["hair"].columns].argmax(1), logits[:, heads["eyes"].columns].argmax(1)


def seen_in_pixels(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the hair and the eyes, numbers (n,) each, by votes of the pixels of pictures."""
    return avatars.measure_hair_colour(images), avatars.measure_eye_colour(images)


def right(seen: tuple[np.ndarray, np.ndarray], conditions: np.ndarray) -> dict[str, float]:
    """Returns the shares of pictures with the hair, the eyes, and both as asked.

    Args:
      seen: the hair and the eyes that a judge sees, numbers (n,) each.
      conditions: those that were asked for, (n, 23).
    """
    hair = seen[0] == conditions[:, :HAIR].argmax(1)
    eyes = seen[1] == conditions[:, HAIR:].argmax(1)
    shares = {"hair": hair.mean(), "eyes": eyes.mean(), "both": (hair & eyes).mean()}
    return {name: round(float(share), 4) for name, share in shares.items()}


def save_grid(path: Path, images: np.ndarray, of_each: int) -> None:
    """Writes the first samples of each pair, a row each, of uint8 (pairs · of_each, H, W, C)."""
    shown = images.reshape(-1, of_each, *images.shape[1:])[:, :SHOWN]
    picture_files.save_png(path, picture_files.grid(shown.reshape(-1, *images.shape[1:]), shown.shape[1]))


if __name__ == "__main__":
    main()
