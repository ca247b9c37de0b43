"""All scores of generated pictures against real ones, each with the context needed to compare it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxgan.data.heads import Head
from jaxgan.metrics.coverage import manifold_scores
from jaxgan.metrics.entries import Scores, class_entries, entry
from jaxgan.metrics.estimate import mean_estimate
from jaxgan.metrics.features import Embedding, FeatureNetwork
from jaxgan.metrics.frechet import frechet_distance_estimate, frechet_distance_infinity
from jaxgan.metrics.inception import inception_score
from jaxgan.metrics.kernel import kernel_distance
from jaxgan.metrics.modes import confidence
from jaxgan.metrics.neighbours import authenticity, nearest_neighbours
from jaxgan.metrics.statistics import FeatureStatistics, feature_statistics


@dataclass(frozen=True)
class Reference:
    """Features of real pictures, computed once and used for every evaluation of a run.

    Attributes:
      network: the feature network.
      features: (n, d) features of the real pictures, in random order.
      statistics: statistics of the features.
      split: split of the real pictures, such as "test".
      resolution: (height, width, channels) of real and generated pictures.
      resize: how the real pictures were brought to this resolution.
    """

    network: FeatureNetwork
    features: np.ndarray
    statistics: FeatureStatistics
    split: str
    resolution: tuple[int, ...]
    resize: str = "none"


def make_reference(
    network: FeatureNetwork, images: np.ndarray, *, split: str, resize: str = "none", seed: int = 0
) -> Reference:
    """Embeds real pictures in random order.

    Args:
      network: the feature network.
      images: the real pictures, (n, H, W, C) uint8.
      split: split of the pictures, such as "test".
      resize: how they were brought to their resolution.
      seed: random seed of the order.
    """
    features = np.random.Generator(np.random.PCG64(seed)).permutation(network.apply(images).features)
    return Reference(network, features, feature_statistics(features), split, tuple(images.shape[1:]), resize)


def score_pictures(
    generated: np.ndarray,
    reference: Reference,
    *,
    conditions: np.ndarray | None = None,
    training_features: np.ndarray | None = None,
    extrapolate: bool = False,
    seed: int = 0,
) -> Scores:
    """Scores generated pictures.

    Args:
      generated: (m, H, W, C) uint8, at the reference's resolution.
      reference: the real pictures.
      conditions: (m, c) uint8 multi-hot conditions of the generated pictures, if any.
      training_features: (k, d) features of the training pictures, to detect copies. They add `authenticity` and
        `training_distance`, the mean distance to the nearest of them. The latter contains, as `of_reference`, the same
        distance of the real pictures, which is 0 if they are training pictures.
      extrapolate: whether to add the FID without the bias of finite sets, which takes some seconds.
      seed: random seed of the subsets and of the order of the pictures.

    Returns:
      JSON-compatible entries by score name: `value`, `standard_error`, and the context `n`, `n_reference`, `split`,
      `resolution`, `resize`, `seed`, `feature_network` (name, digest and accuracy). Class scores are included if the
      network has classes, and are prefixed with the head's name and a slash if it has several heads.

    Raises:
      ValueError: if the shape of the pictures differs from the reference's, or there are fewer pictures than features.
    """
    if tuple(generated.shape[1:]) != reference.resolution:
        raise ValueError(f"generated pictures of {generated.shape[1:]}, reference of {reference.resolution}")
    chosen = np.random.Generator(np.random.PCG64(seed)).permutation(len(generated))
    embedding = reference.network.apply(generated[chosen])
    entries = _feature_entries(embedding, reference, extrapolate, seed)
    if training_features is not None:
        entries |= _memorisation_entries(embedding.features, reference.features, training_features)
    heads = reference.network.heads
    for head in heads:
        prefix = f"{head.name}/" if len(heads) > 1 else ""
        labels = None if conditions is None else head.labels(conditions[chosen])
        head_entries = _class_entries(head, embedding, labels)
        entries |= {prefix + name: found for name, found in head_entries.items()}
    context = describe(len(generated), reference, seed)
    return {name: found | context for name, found in entries.items()}


def _feature_entries(embedding: Embedding, reference: Reference, extrapolate: bool, seed: int) -> Scores:
    real, features = reference.features, embedding.features
    entries = {
        "fid": entry(frechet_distance_estimate(reference.statistics, features)),
        "kid": entry(kernel_distance(real, features, seed=seed)),
    }
    if extrapolate:
        entries["fid_infinity"] = entry(frechet_distance_infinity(real, features))
    return entries | {name: entry(score) for name, score in manifold_scores(real, features)._asdict().items()}


def _class_entries(head: Head, embedding: Embedding, labels: np.ndarray | None) -> Scores:
    if embedding.logits is None:
        return {}
    logits = embedding.logits[:, head.columns]
    return {
        "inception_score": entry(inception_score(logits)),
        "confidence": entry(confidence(logits)),
        **class_entries(head, logits.argmax(axis=1), labels),
    }


def _memorisation_entries(features: np.ndarray, real: np.ndarray, training: np.ndarray) -> Scores:
    nearest = nearest_neighbours(features, training)
    usual = nearest_neighbours(real, training)
    return {
        "authenticity": entry(authenticity(training, features, nearest=nearest)),
        "training_distance": {
            **entry(mean_estimate(nearest.distances[:, 0])),
            "of_reference": entry(mean_estimate(usual.distances[:, 0])),
            "n_training": len(training),
        },
    }


def describe(count: int, reference: Reference, seed: int) -> dict[str, Any]:
    """Returns the context that makes a score of `count` generated pictures comparable with another.

    Args:
      count: number of generated pictures.
      reference: the real pictures.
      seed: the random seed of the evaluation.
    """
    network = reference.network
    return {
        "n": count,
        "n_reference": len(reference.features),
        "split": reference.split,
        "resolution": list(reference.resolution),
        "resize": reference.resize,
        "seed": seed,
        "feature_network": {"name": network.name, "digest": network.digest, "accuracy": dict(network.accuracy)},
    }
