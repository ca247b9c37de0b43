"""A set of which few pictures keep their labels: two sources, the labelled pictures and all of them without labels."""

import hashlib
import json

import numpy as np

from jaxgan.data import order
from jaxgan.data.examples import Examples
from jaxgan.data.heads import Head
from jaxgan.host.errors import UserError

LABELLED, UNLABELLED = "labelled", "unlabelled"


def choose(labels: np.ndarray, classes: int, per_class: int, seed: int) -> np.ndarray:
    """Chooses as many examples of each class, at random.

    Args:
      labels: the class of each example, integers (N,), −1 where it has none.
      classes: how many classes there are.
      per_class: how many examples of each.
      seed: of the choice, alike on every machine.

    Returns:
      Their places, (classes · per_class,) int64, class by class.

    Raises:
      UserError: if a class has fewer.
    """
    shuffled = order.indices(seed, 0, len(labels), len(labels))
    chosen = [shuffled[labels[shuffled] == number][:per_class] for number in range(classes)]
    fewest = min(map(len, chosen))
    if fewest < per_class:
        short = min(range(classes), key=lambda number: len(chosen[number]))
        raise UserError(f"--labels_per_class={per_class}: class {short} has only {fewest} pictures; give at most that")
    return np.concatenate(chosen)


def divide(examples: Examples, head: Head, *, per_class: int, seed: int, least: int) -> dict[str, Examples]:
    """Divides a set into few labelled pictures and all pictures, the labelled among them, without labels.

    Args:
      examples: with conditions.
      head: the columns of the conditions that are the classes.
      per_class: how many pictures of each class keep their label.
      seed: of their choice.
      least: how many labelled examples there must be, as in a batch; the chosen ones are repeated up to that.

    Returns:
      "labelled", with "condition" one-hot of this head, and "unlabelled".

    Raises:
      UserError: if a class has fewer pictures.
    """
    if examples.conditions is None:
        raise ValueError("examples without conditions have no classes")
    chosen = choose(head.labels(examples.conditions), len(head.classes), per_class, seed)
    digest = hashlib.sha256(json.dumps([examples.digest, head.name, chosen.tolist()]).encode()).hexdigest()
    chosen = np.tile(chosen, -(-least // len(chosen)))
    arrays = {"image": examples.images[chosen], "condition": examples.conditions[chosen][:, head.columns]}
    unlabelled = Examples({"image": examples.images}, digest=examples.digest)
    return {LABELLED: Examples(arrays, head.classes, digest), UNLABELLED: unlabelled}
