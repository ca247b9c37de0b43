"""Metrics of a generator: pure functions of features, logits and pictures."""

from jaxgan.metrics.colours import measured_colours
from jaxgan.metrics.coverage import ManifoldScores, manifold_scores
from jaxgan.metrics.estimate import Estimate
from jaxgan.metrics.frechet import (
    frechet_distance,
    frechet_distance_estimate,
    frechet_distance_infinity,
    gaussian_frechet_distance,
)
from jaxgan.metrics.inception import inception_score
from jaxgan.metrics.kernel import kernel_distance, polynomial_kernel, squared_maximum_mean_discrepancy
from jaxgan.metrics.modes import class_histogram, conditional_accuracy, confidence, mode_coverage
from jaxgan.metrics.neighbours import Neighbours, authenticity, nearest_neighbours
from jaxgan.metrics.similarity import sharpness, structural_similarity
from jaxgan.metrics.smoothness import generator_path_length, path_length
from jaxgan.metrics.statistics import FeatureStatistics, feature_statistics, merge_statistics

__all__ = [
    "Estimate",
    "FeatureStatistics",
    "ManifoldScores",
    "Neighbours",
    "authenticity",
    "class_histogram",
    "conditional_accuracy",
    "confidence",
    "feature_statistics",
    "frechet_distance",
    "frechet_distance_estimate",
    "frechet_distance_infinity",
    "gaussian_frechet_distance",
    "generator_path_length",
    "inception_score",
    "kernel_distance",
    "manifold_scores",
    "measured_colours",
    "merge_statistics",
    "mode_coverage",
    "nearest_neighbours",
    "path_length",
    "polynomial_kernel",
    "sharpness",
    "squared_maximum_mean_discrepancy",
    "structural_similarity",
]
