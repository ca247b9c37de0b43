"""Feature networks: functions from pictures to features, on which distances are measured, and to class logits.

Scores from different networks are not comparable, so every network carries a name and a digest.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import traverse_util
from numpy.typing import ArrayLike

from jaxgan.data.examples import Examples
from jaxgan.data.heads import Head, heads_of
from jaxgan.host.arrays import parse_arrays
from jaxgan.host.digest import digest_leaves
from jaxgan.host.errors import UserError
from jaxgan.metrics import store
from jaxgan.metrics.classifiers import Classifier, ClassifierRecipe, Variables, train_classifier
from jaxgan.metrics.distances import slabs
from jaxgan.metrics.rotations import ROTATIONS, rotated
from jaxgan.metrics.spoiling import spoil_some
from jaxgan.ops import pixels

_FORMAT = 2  # raised when networks of older versions must no longer be used
_BATCH_SIZE = 200
_PIXELS_SEEN = 240_000 * 28 * 28  # by a classifier in training
_PICTURES_SEEN_AT_LEAST = 40_000
_PICTURES_TURNED = 20_000  # at most, of pictures without labels: the rotated copies are held in memory


class Embedding(NamedTuple):
    """Output of a feature network.

    Attributes:
      features: (n, d) float32.
      logits: (n, classes) float32, the logits of all heads side by side; None if the network has no classes.
    """

    features: np.ndarray
    logits: np.ndarray | None


@dataclass(frozen=True)
class FeatureNetwork:
    """A feature network, ready for use.

    Attributes:
      name: name for the reader, such as "mnist-classifier".
      digest: sha256 of its weights.
      apply: pictures (n, H, W, C), uint8 or floats in [-1, 1], for any n -> `Embedding`.
      heads: the meaning of its logits; () if it has no classes.
      accuracy: share of the test pictures that each head classifies correctly, by the head's name.
      trace: pictures (n, H, W, C), floats in [-1, 1] -> features (n, d), inside of traced functions and with gradients;
        None if the network is no function of JAX.
    """

    name: str
    digest: str
    apply: Callable[[np.ndarray | jax.Array], Embedding]
    heads: tuple[Head, ...] = ()
    accuracy: Mapping[str, float] = field(default_factory=dict)
    trace: Callable[[jax.Array], jax.Array] | None = None


def load(
    dataset_name: str,
    train: Examples,
    test: Examples,
    *,
    recipe: ClassifierRecipe | None = None,
    cache_dir: str | Path | None = None,
    progress: bool = True,
) -> FeatureNetwork:
    """Returns the feature network of a data set: a small classifier of its labels, trained on first use and cached.

    Half of the pictures that it learns from are spoilt, and it learns to tell how: its features see blur, noise, faded
    colours and the like. Without labels the network also learns to tell by how many right angles a picture was rotated,
    and has no heads (Gidaris et al., "Unsupervised Representation Learning by Predicting Image Rotations", 2018).

    Args:
      dataset_name: first part of the network's name.
      train: the training examples.
      test: examples of the same resolution, on which the accuracy is measured.
      recipe: the training settings; see `default_recipe`.
      cache_dir: directory of the cache; see `jaxgan.data.cache.cache_directory`.
      progress: whether to show a progress bar while training.

    Raises:
      UserError: if the pictures have no labels and are not square, or are too few, or the cache cannot be written.
      ValueError: if training and test pictures differ in shape or in the names of their labels.
    """
    arrays, accuracy = trained_arrays(dataset_name, train, test, recipe=recipe, cache_dir=cache_dir, progress=progress)
    heads = heads_of(train.condition_names)
    variables = traverse_util.unflatten_dict(arrays, sep="/")
    digest = digest_leaves(arrays)
    return FeatureNetwork(
        name=f"{dataset_name}-classifier" if heads else f"{dataset_name}-rotations",
        digest=digest,
        apply=partial(_apply, variables, train.image_shape, len(train.condition_names)),
        heads=heads,
        accuracy=accuracy,
        trace=_Traced(digest, variables),
    )


def trained_arrays(
    dataset_name: str,
    train: Examples,
    test: Examples,
    *,
    recipe: ClassifierRecipe | None = None,
    cache_dir: str | Path | None = None,
    progress: bool = True,
) -> tuple[store.Arrays, Mapping[str, float]]:
    """Returns the arrays of the classifier that `load` makes a feature network of, by path, and its accuracy."""
    if train.image_shape != test.image_shape or train.condition_names != test.condition_names:
        raise ValueError("training and test pictures differ in shape or labels")
    seen = len(train) if train.conditions is not None else min(len(train), _PICTURES_TURNED)
    recipe = recipe or default_recipe(seen, train.image_shape)
    if len(train) < recipe.batch_size:
        raise UserError(
            f"{len(train)} pictures are too few to train a feature network; give {recipe.batch_size} or more"
        )
    settings = {
        "format": _FORMAT,
        "train": train.digest,
        "test": test.digest,
        "recipe": asdict(recipe),
        "condition_names": list(train.condition_names),
    }
    entry = store.path_of(f"{dataset_name}-classifier", settings, cache_dir)
    found = store.read(entry)
    if found is None:
        variables, accuracy = _train(train, test, recipe, progress)
        found = store.write(entry, traverse_util.flatten_dict(variables, sep="/"), {"accuracy": accuracy, **settings})
    arrays, facts = found
    return arrays, facts["accuracy"]


def from_function(
    function: Callable[[np.ndarray], ArrayLike], *, name: str, digest: str, batch_size: int = _BATCH_SIZE
) -> FeatureNetwork:
    """Makes a feature network from a function.

    Args:
      function: pictures (n, H, W, C) uint8, at most `batch_size` at a time -> features (n, d). It does any resizing
        itself. For the path length it also receives floats in [-1, 1].
      name: name of the network, such as "inception-v3-pool3".
      digest: identifies its weights, such as the sha256 of their file.
      batch_size: maximum number of pictures per call.
    """

    def apply(images: np.ndarray | jax.Array) -> Embedding:
        parts = [np.asarray(function(np.asarray(images[rows])), np.float32) for rows in slabs(len(images), batch_size)]
        return Embedding(np.concatenate(parts), None)

    return FeatureNetwork(name, digest, apply)


def from_file(
    build: Callable[[dict[str, np.ndarray]], Callable[[np.ndarray], ArrayLike]],
    path: str | Path,
    *,
    sha256: str,
    name: str,
    batch_size: int = _BATCH_SIZE,
) -> FeatureNetwork:
    """Makes a feature network from weights in an .npz file, such as those of Inception v3.

    Args:
      build: named arrays of the file -> the function that `from_function` takes.
      path: the file; arrays only, no pickled objects.
      sha256: hexadecimal sha256 of the file; it becomes the network's digest.
      name: name of the network.
      batch_size: maximum number of pictures per call of the function.

    Raises:
      UserError: if the file is missing, has another digest, holds anything but arrays, or not the arrays that `build`
        needs (`build` raises a ValueError then).
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"cannot read the weights {path}: {error.strerror}") from None
    digest = hashlib.sha256(data).hexdigest()
    if digest != sha256.lower():
        raise UserError(
            f"the weights {path} have sha256 {digest}, not {sha256}: get the right file, or name its digest"
        )
    try:
        function = build(parse_arrays(data))
    except ValueError as error:
        raise UserError(f"cannot use the weights {path}: {error}") from None
    return from_function(function, name=name, digest=digest, batch_size=batch_size)


def default_recipe(count: int, image_shape: tuple[int, ...]) -> ClassifierRecipe:
    """Returns the recipe for `count` training pictures of this shape.

    The number of epochs is chosen so that training takes a few minutes on a small CPU.
    """
    pictures_seen = max(_PIXELS_SEEN // (image_shape[0] * image_shape[1]), _PICTURES_SEEN_AT_LEAST)
    return ClassifierRecipe(epochs=max(1, round(pictures_seen / count)))


def _train(
    train: Examples, test: Examples, recipe: ClassifierRecipe, progress: bool
) -> tuple[Variables, dict[str, float]]:
    """Trains a classifier; returns its variables and the share of test pictures that each head classifies correctly."""
    heads = heads_of(train.condition_names) or ROTATIONS
    images, conditions = _labelled(train, seed=0)
    variables = train_classifier(images, conditions, heads, recipe, progress=progress)
    images, conditions = _labelled(test, seed=1)
    _, logits = _embed(variables, images)
    accuracy = {head.name: _accuracy(logits[:, head.columns], head.labels(conditions)) for head in heads}
    if recipe.spoil:
        accuracy["spoiling"] = _sees_spoiling(variables, images, conditions.shape[1])
    return variables, accuracy


def _sees_spoiling(variables: Variables, images: np.ndarray, classes: int) -> float:
    """Returns the share of pictures of which the network tells whether and how they were spoilt."""
    right = []
    for number, rows in enumerate(slabs(len(images), _BATCH_SIZE)):
        spoilt, kinds = _spoil_some(jax.random.key(number), images[rows])
        _, logits = _embed(variables, np.asarray(spoilt))
        right.append(logits[:, classes:].argmax(axis=1) == np.asarray(kinds).argmax(axis=1))
    return float(np.mean(np.concatenate(right)))


@jax.jit
def _spoil_some(key: jax.Array, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    return spoil_some(key, pixels.normalize(images))


def _labelled(pictures: Examples, seed: int) -> tuple[np.ndarray, np.ndarray]:
    if pictures.conditions is not None:
        return pictures.images, pictures.conditions
    return rotated(pictures.images[:_PICTURES_TURNED], seed)


def _accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    named = labels >= 0
    return float(np.mean(logits[named].argmax(axis=1) == labels[named]))


def _apply(
    variables: Variables, image_shape: tuple[int, ...], classes: int, images: np.ndarray | jax.Array
) -> Embedding:
    """Implements `FeatureNetwork.apply` for a trained classifier; logits beyond its classes are those of spoiling."""
    if tuple(images.shape[1:]) != image_shape:
        raise ValueError(f"the feature network takes pictures of {image_shape}, got {images.shape[1:]}")
    features, logits = _embed(variables, images)
    return Embedding(features, logits[:, :classes] if classes else None)


def _embed(variables: Variables, images: np.ndarray | jax.Array) -> tuple[np.ndarray, np.ndarray]:
    """Computes features and logits in batches; the last batch is padded, so that one compiled program serves all."""
    parts = []
    for rows in slabs(len(images), _BATCH_SIZE):
        batch = np.asarray(images[rows])
        filled = np.pad(batch, ((0, _BATCH_SIZE - len(batch)), (0, 0), (0, 0), (0, 0)))
        features, logits = _embed_batch(variables, filled)
        parts.append((np.asarray(features)[: len(batch)], np.asarray(logits)[: len(batch)]))
    all_features, all_logits = zip(*parts, strict=True)
    return np.concatenate(all_features), np.concatenate(all_logits)


@dataclass(frozen=True)
class _Traced:
    """Features inside of traced functions. Equal by the digest: what is compiled with them once serves each reading."""

    digest: str
    variables: Variables = field(compare=False, repr=False)

    def __call__(self, images: jax.Array) -> jax.Array:
        return _embed_batch(self.variables, images)[0]


@jax.jit
def _embed_batch(variables: Variables, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    classes = len(variables["params"]["logits"]["bias"])
    outputs: Any = Classifier(classes).apply(variables, images, train=False)
    return outputs
