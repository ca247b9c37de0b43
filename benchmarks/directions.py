"""Whether directions toward classes lead there, and leave the other kinds alone.

    python -m benchmarks.directions --pretrained=faces
    python -m benchmarks.directions --workdir=runs/stylegan_avatars --classes=4 --num=50

Moves samples toward each class and asks the classifier of `experiments.evaluate`, by which the directions were found
too, what it sees then. The samples are others than those. Prints a line of JSON for each class, and one for the mean of
each kind: by strength, the share of the samples that were not called so before and are now ("toward"), and of each
other kind the share of all samples that are called what they were ("kept"). With --random the same for steps of the
same lengths in random directions: what any change of that size does.
"""

import argparse
import json
from collections.abc import Callable

import jax
import numpy as np

from experiments.run import pretrained
from experiments.run.directions import directions_of, edited
from experiments.run.feature_network import feature_network_of
from experiments.run.restore import load_run
from jaxgan.sampling.directions import Directions

STRENGTHS = (1, 2, 3)
SEED = 1  # others than the samples by which directions are found

Shares = dict[str, dict[str, float]]
"""By what is measured: by strength, a share."""


def main() -> None:
    """Moves, asks and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", help="a run that takes no conditions, of pictures with classes or tags")
    parser.add_argument("--pretrained", help="in its place a model of the package")
    parser.add_argument("--step", help="of the checkpoint; default: the newest")
    parser.add_argument("--num", type=int, default=100, help="samples")
    parser.add_argument("--classes", type=int, help="of each kind, from the most frequent to the rarest; default: all")
    parser.add_argument("--random", action="store_true", help="move in random directions instead")
    asked = parser.parse_args()
    run = load_run(pretrained.folder_of(asked.workdir, asked.pretrained), asked.step)
    found = directions_of(run)
    if asked.random:
        found = in_random_directions(found)
    network = feature_network_of(run)
    z = run.latent.latents(jax.random.key(SEED), asked.num)

    def tell(offset: np.ndarray) -> np.ndarray:
        logits = network.apply(edited(run, z, offset[None])).logits
        assert logits is not None
        return np.stack([logits[:, kind.columns].argmax(axis=1) for kind in found.kinds], axis=1)

    before = tell(0 * found.steps[0])
    for place, kind in enumerate(found.kinds):
        rows = []
        for number in chosen(found, place, asked.classes):
            rows.append(measured(found, place, number, before, tell))
            print(json.dumps({"class": kind.classes[number - kind.start], **rows[-1]}), flush=True)
        if rows:
            print(json.dumps({"kind": kind.name, "classes": len(rows), **mean(rows)}), flush=True)


def in_random_directions(found: Directions) -> Directions:
    """Returns steps of the same lengths in directions drawn from a normal distribution."""
    drawn = np.random.default_rng(SEED).normal(size=found.steps.shape)
    lengths = np.linalg.norm(found.steps, axis=1, keepdims=True)
    steps = drawn / np.linalg.norm(drawn, axis=1, keepdims=True) * lengths
    return found._replace(steps=steps.astype(np.float32))


def chosen(found: Directions, place: int, count: int | None) -> list[int]:
    """Returns the numbers of classes of a kind that have a direction: all, or some of all frequencies."""
    kind = found.kinds[place]
    numbers = [kind.start + index for index in range(len(kind.classes)) if found.known[kind.start + index]]
    numbers.sort(key=lambda number: -found.counts[number])
    if count is None or count >= len(numbers):
        return numbers
    return [numbers[index] for index in np.linspace(0, len(numbers) - 1, count).round().astype(int)]


def measured(
    found: Directions, place: int, number: int, before: np.ndarray, tell: Callable[[np.ndarray], np.ndarray]
) -> Shares:
    """Returns the shares for one class.

    Args:
      found: the directions.
      place: of the kind.
      number: of the class.
      before: the class of each sample in each kind, (N, kinds).
      tell: what is added to the samples, (d,) -> the same of the samples with it.
    """
    kind = found.kinds[place]
    others = before[:, place] != number - kind.start
    shares: Shares = {"toward": {}} | {f"kept {one.name}": {} for one in found.kinds if one != kind}
    for strength in STRENGTHS:
        after = tell(strength * found.steps[number])
        shares["toward"][str(strength)] = share(after[others, place] == number - kind.start)
        for other, one in enumerate(found.kinds):
            if other != place:
                shares[f"kept {one.name}"][str(strength)] = share(after[:, other] == before[:, other])
    return shares


def share(true: np.ndarray) -> float:
    """Returns the share of what is true, to three digits; 0 of nothing."""
    return round(float(true.mean()), 3) if len(true) else 0.0


def mean(rows: list[Shares]) -> Shares:
    """Returns the mean of the shares of several classes."""
    return {
        name: {strength: round(float(np.mean([row[name][strength] for row in rows])), 3) for strength in shares}
        for name, shares in rows[0].items()
    }


if __name__ == "__main__":
    main()
