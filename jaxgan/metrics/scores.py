"""All scores of a set of generated pictures against real ones, each with what is needed to compare it with another."""

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
from jaxgan.metrics.neighbours import authenticity, nearest_neighbours
from jaxgan.metrics.statistics import FeatureStatistics, feature_statistics


@dataclass(frozen=True)
class Reference:
    """Real pictures as a feature network sees them: made once, used for every evaluation of a run.

    Attributes:
      network: the feature network.
      features: (n, d) of the real pictures, in random order.
      statistics: of the features.
      split: which pictures they are, such as "test".
      resolution: (height, width, channels) that both sides have.
      resize: how the real pictures came to it.
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
    """Embeds the real pictures (n, H, W, C) uint8, in an order chosen by the seed."""
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
      conditions: (m, c) uint8 multi-hot that the generator was given, if any.
      training_features: (k, d) features of the training pictures, to look for copies among the generated ones:
        `authenticity`, and `training_distance`, the mean distance to the nearest of them; beside it, as
        `of_reference`, that of the real pictures, which is 0 where they are training pictures themselves.
      extrapolate: whether to add the FID without the bias of finite sets, which takes some seconds.
      seed: chooses the subsets and the order of the pictures.

    Returns:
      By name of the score, JSON-able: `value`, `standard_error`, and the context that makes it comparable: `n`,
      `n_reference`, `split`, `resolution`, `resize`, `seed`, `feature_network` (name, digest and accuracy). Scores of
      classes are there if the network knows classes, and carry the head's name before a slash if it has several.

    Raises:
      ValueError: the pictures' shape is not the reference's, or they are fewer than the features.
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
    return {"inception_score": entry(inception_score(logits)), **class_entries(head, logits.argmax(axis=1), labels)}


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
    """What makes a score of `count` generated pictures comparable with another."""
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
