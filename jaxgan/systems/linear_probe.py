"""Linear probe: how much features of a network tell of classes, by a linear classifier on top of them.

NumPy alone; nothing here knows a network.

Reference:
  Radford, Metz and Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
  Networks", 2016, §5.1, where the classifier is a support vector machine; here it is ridge regression on the classes.
"""

import numpy as np


def probe_accuracy(
    features: np.ndarray,
    labels: np.ndarray,
    test_features: np.ndarray,
    test_labels: np.ndarray,
    *,
    ridge: float = 1e-2,
) -> float:
    """Fits a linear classifier to features and returns the share of other examples that it classifies right.

    Features are centred and divided by their deviations over the examples that it is fitted to; one that does not vary
    there is of no use.

    Args:
      features: (N, F), to fit to.
      labels: their classes, integers (N,), counted from 0.
      test_features: (M, F).
      test_labels: their classes, integers (M,).
      ridge: weight of the squared weights against the mean squared error.

    Raises:
      ValueError: if there are no examples of either kind.
    """
    if not len(features) or not len(test_features):
        raise ValueError(f"{len(features)} examples to fit to and {len(test_features)} to test; one at least is needed")
    given = features.astype(np.float64)
    mean, std = given.mean(axis=0), given.std(axis=0)
    scale = np.where(std > 0, 1 / np.where(std > 0, std, 1.0), 0.0)
    given = (given - mean) * scale
    targets = np.eye(int(labels.max()) + 1)[labels]
    shares = targets.mean(axis=0)
    covariance = given.T @ given / len(given) + ridge * np.eye(given.shape[1])
    weights = np.linalg.solve(covariance, given.T @ (targets - shares) / len(given))
    told = ((test_features.astype(np.float64) - mean) * scale @ weights + shares).argmax(axis=1)
    return float((told == test_labels).mean())
