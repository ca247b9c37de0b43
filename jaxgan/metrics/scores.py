"""All scores of a set of generated pictures against real ones, each with what is needed to compare it with another."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxgan.metrics.coverage import manifold_scores
from jaxgan.metrics.estimate import Estimate, mean_estimate
from jaxgan.metrics.features import Embedding, FeatureNetwork
from jaxgan.metrics.frechet import frechet_distance_estimate, frechet_distance_infinity
from jaxgan.metrics.heads import Head
from jaxgan.metrics.inception import inception_score
from jaxgan.metrics.kernel import kernel_distance
from jaxgan.metrics.modes import class_histogram, conditional_accuracy, mode_coverage
from jaxgan.metrics.neighbours import authenticity
from jaxgan.metrics.statistics import FeatureStatistics, feature_statistics

Scores = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Reference:
    """Real pictures as a feature network sees them: made once, used for every evaluation of a run.

    Attributes:
        network: the feature network.
        features: (n, d) of the real pictures, in random order.
        statistics: of the features.
        split: which pictures they are, such as "test".
        resolution: (height, width, channels) that both sides have.
    """

    network: FeatureNetwork
    features: np.ndarray
    statistics: FeatureStatistics
    split: str
    resolution: tuple[int, ...]


def make_reference(network: FeatureNetwork, images: np.ndarray, *, split: str, seed: int = 0) -> Reference:
    """Embeds the real pictures (n, H, W, C) uint8, in an order chosen by the seed."""
    features = np.random.Generator(np.random.PCG64(seed)).permutation(network.apply(images).features)
    return Reference(network, features, feature_statistics(features), split, tuple(images.shape[1:]))


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
        training_features: (k, d) features of the training pictures, to look for copies among the generated ones.
        extrapolate: whether to add the FID without the bias of finite sets, which takes some seconds.
        seed: chooses the subsets and the order of the pictures.

    Returns:
        By name of the score, JSON-able: `value`, `standard_error`, and the context that makes it comparable: `n`,
        `n_reference`, `split`, `resolution`, `seed`, `feature_network` (name, digest and accuracy). Scores of classes
        are there if the network knows classes, and carry the head's name before a slash if there are several heads.

    Raises:
        ValueError: the pictures' shape is not the reference's, or they are fewer than the features.
    """
    if tuple(generated.shape[1:]) != reference.resolution:
        raise ValueError(f"generated pictures of {generated.shape[1:]}, reference of {reference.resolution}")
    chosen = np.random.Generator(np.random.PCG64(seed)).permutation(len(generated))
    embedding = reference.network.apply(generated[chosen])
    entries = _feature_entries(embedding, reference, extrapolate, seed)
    if training_features is not None:
        entries["authenticity"] = _entry(authenticity(training_features, embedding.features))
    heads = reference.network.heads
    for head in heads:
        prefix = f"{head.name}/" if len(heads) > 1 else ""
        labels = None if conditions is None else head.labels(conditions[chosen])
        class_entries = _class_entries(head, embedding, labels)
        entries |= {prefix + name: entry for name, entry in class_entries.items()}
    context = _context(len(generated), reference, seed)
    return {name: entry | context for name, entry in entries.items()}


def _feature_entries(embedding: Embedding, reference: Reference, extrapolate: bool, seed: int) -> Scores:
    real, features = reference.features, embedding.features
    entries = {
        "fid": _entry(frechet_distance_estimate(reference.statistics, features)),
        "kid": _entry(kernel_distance(real, features, seed=seed)),
    }
    if extrapolate:
        entries["fid_infinity"] = _entry(frechet_distance_infinity(real, features))
    return entries | {name: _entry(score) for name, score in manifold_scores(real, features)._asdict().items()}


def _class_entries(head: Head, embedding: Embedding, labels: np.ndarray | None) -> Scores:
    if embedding.logits is None:
        return {}
    logits = embedding.logits[:, head.columns]
    histogram = class_histogram(logits)
    shares = [mean_estimate(logits.argmax(axis=1) == number) for number in range(len(head.classes))]
    threshold = 0.5 / len(head.classes)  # half of what each class has if all have the same
    entries: Scores = {
        "inception_score": _entry(inception_score(logits)),
        "mode_coverage": {"value": mode_coverage(histogram, threshold=threshold), "threshold": threshold},
        "class_shares": {
            "value": {name: share.value for name, share in zip(head.classes, shares, strict=True)},
            "standard_error": {name: share.standard_error for name, share in zip(head.classes, shares, strict=True)},
        },
    }
    if labels is not None and np.count_nonzero(labels >= 0) > 1:
        named = labels >= 0
        entries["conditional_accuracy"] = _entry(conditional_accuracy(logits[named], labels[named]))
    return entries


def _entry(estimate: Estimate) -> dict[str, Any]:
    return {"value": estimate.value, "standard_error": estimate.standard_error}


def _context(count: int, reference: Reference, seed: int) -> dict[str, Any]:
    network = reference.network
    return {
        "n": count,
        "n_reference": len(reference.features),
        "split": reference.split,
        "resolution": list(reference.resolution),
        "seed": seed,
        "feature_network": {"name": network.name, "digest": network.digest, "accuracy": dict(network.accuracy)},
    }
