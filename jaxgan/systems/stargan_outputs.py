"""What a StarGAN can be asked for: a preview, translations into conditions, and how well it does both ways."""

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.data.examples import Examples
from jaxgan.data.heads import Head
from jaxgan.models.inference import chunks
from jaxgan.ops import pixels
from jaxgan.systems import conditional_translation as training
from jaxgan.systems.conditional_translation import ConditionalState, Rules
from jaxgan.systems.outputs import Measure, mean_measure, rows_below, share_measure
from jaxgan.systems.system import Preview

COLUMNS = 8
MOST_ROWS = 12  # of targets in a preview


def build_preview(rules: Rules, kinds: Sequence[Head], examples: Examples) -> Preview:
    """Binds the preview to pictures that are not trained on, where there are any, else to the first.

    Below a row of pictures stand their translations into one class each, and nothing else changed. Of many classes
    there are twelve, evenly chosen. Too few pictures begin again.
    """
    names = [name for kind in kinds for name in kind.classes]
    targets = np.linspace(0, len(names) - 1, min(MOST_ROWS, len(names))).round().astype(int)

    @functools.cache  # not read before they are needed, and only once
    def given() -> tuple[np.ndarray, np.ndarray]:
        arrays = examples.held_out or examples.arrays
        chosen = np.arange(COLUMNS) % len(arrays["image"])
        return arrays["image"][chosen], arrays["condition"][chosen][:, list(rules.columns)]

    def images(state: ConditionalState) -> np.ndarray:
        inputs, labels = given()
        rows = [translated(rules, state, inputs, with_class(labels, rules.kinds, target)) for target in targets]
        return rows_below((inputs, *rows), COLUMNS)

    return Preview(images, COLUMNS, ("input", *(names[target] for target in targets)))


def with_class(labels: np.ndarray, kinds: Sequence[int], target: int) -> np.ndarray:
    """Returns labels (N, c) with one of them set, and the others of its kind, if it has one, taken away."""
    changed = np.array(labels)
    for start, stop in itertools.pairwise(itertools.accumulate(kinds, initial=0)):
        if start <= target < stop:
            changed[:, start:stop] = 0
    changed[:, target] = 1
    return changed


def translate_to(rules: Rules, state: ConditionalState, images: np.ndarray, conditions: np.ndarray) -> np.ndarray:
    """Translates pictures into conditions; what a condition leaves open stays as the discriminator sees it.

    Args:
      rules: of the networks.
      state: of the system.
      images: uint8 (N, H, W, C), of the networks' size.
      conditions: zeros and ones (N, condition_dim). A kind without any class is open; where labels are there or not by
        themselves, each 0 is.

    Returns:
      uint8 (N, H, W, C).
    """
    asked = np.asarray(conditions)[:, list(rules.columns)]
    stops = list(itertools.accumulate(rules.kinds)) or list(range(1, asked.shape[1] + 1))
    seen = None
    labels = []
    for start, stop in itertools.pairwise((0, *stops)):
        part = asked[:, start:stop]
        unset = ~part.any(axis=1, keepdims=True)
        if unset.any():
            seen = classified(rules, state, images) if seen is None else seen
            part = np.where(unset, seen[:, start:stop], part)
        labels.append(part)
    return translated(rules, state, images, np.concatenate(labels, axis=1))


def translated(rules: Rules, state: ConditionalState, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Translates pictures, uint8 (N, H, W, C), into labels (N, c); returns the same shape."""
    parts = [_translate(rules, state.generator.params, *part) for part in chunks(images, labels)]
    return np.concatenate([np.asarray(part) for part in parts])


def classified(rules: Rules, state: ConditionalState, images: np.ndarray) -> np.ndarray:
    """Tells the labels of pictures, uint8 (N, H, W, C); see `conditional_translation.classify`."""
    parts = [_classify(rules, state.discriminator.params, part) for part, _ in chunks(images, None)]
    return np.concatenate([np.asarray(part) for part in parts])


@functools.partial(jax.jit, static_argnums=0)
def _translate(rules: Rules, params: Any, images: jax.Array, labels: jax.Array) -> jax.Array:
    return pixels.quantize(training.translate(rules.generator, params, images, labels))


@functools.partial(jax.jit, static_argnums=0)
def _classify(rules: Rules, params: Any, images: jax.Array) -> jax.Array:
    return training.classify(rules, params, images)


def measure(
    rules: Rules,
    state: ConditionalState,
    images: np.ndarray,
    key: jax.Array,
    *,
    condition: np.ndarray | None = None,
) -> dict[str, Measure]:
    """Measures what is left of pictures after there and back, of pixels in [−1, 1].

    Args:
      rules: of the networks.
      state: of the system.
      images: uint8 (N, H, W, C).
      key: of the order in which each picture gets the labels of another one.
      condition: of the pictures, (N, condition_dim); None: as the discriminator sees them.

    Returns:
      "cycle_l1", the mean absolute difference.
    """
    labels = classified(rules, state, images) if condition is None else condition[:, list(rules.columns)]
    targets = np.asarray(training.permuted(key, jnp.asarray(labels)))
    back = translated(rules, state, translated(rules, state, images, targets), labels)
    difference = np.abs((back.astype(np.float32) - images) / 127.5).mean((1, 2, 3))
    return {"cycle_l1": mean_measure(difference, "mean absolute difference after there and back")}


def measure_labelled(
    rules: Rules,
    kinds: Sequence[Head],
    state: ConditionalState,
    images: np.ndarray,
    labels: Mapping[str, np.ndarray],
) -> dict[str, Measure]:
    """Measures how many real pictures the discriminator classifies right, of each kind.

    Args:
      rules: of the networks, with kinds.
      kinds: that they translate.
      state: of the system.
      images: uint8 (N, H, W, C).
      labels: by kind, the class of each picture, integers (N,); −1 where it has none.

    Returns:
      By kind, such as "hair/classified", the share of the pictures that have a class; kinds that none has are left out.
    """
    seen = np.split(classified(rules, state, images), np.cumsum(rules.kinds)[:-1], axis=1)
    found = {}
    for kind, part in zip(kinds, seen, strict=True):
        classes = labels.get(kind.name, np.full(len(images), -1))
        known = classes >= 0
        if known.any():
            right = float((part.argmax(axis=1) == classes)[known].mean())
            meaning = f"share of {known.sum()} real pictures whose {kind.name} the discriminator tells"
            found[f"{kind.name}/classified"] = share_measure(right, int(known.sum()), meaning)
    return found
