"""Measures of codes: classes found without labels, information, and what a continuous code does to digits.

NumPy and SciPy alone; nothing here knows a network.
"""

import math

import numpy as np


def matched_accuracy(found: np.ndarray, labels: np.ndarray) -> float:
    """Returns the share of examples whose class is right after the best matching of classes with labels, in [0, 1].

    Every class is given to one label at most, and every label to one class.

    Args:
      found: classes that were found without labels, integers (N,), counted from 0.
      labels: integers (N,), counted from 0.

    Raises:
      ValueError: if there are no examples, or the lengths differ.
    """
    if len(found) != len(labels) or not len(found):
        raise ValueError(f"{len(found)} classes and {len(labels)} labels; as many of each are needed, one at least")
    from scipy.optimize import linear_sum_assignment  # half a second of every command's start, were it imported above

    counts = np.zeros((found.max() + 1, labels.max() + 1), np.int64)
    np.add.at(counts, (found, labels), 1)
    return float(counts[linear_sum_assignment(counts, maximize=True)].sum() / len(found))


def information_of_uniform_code(codes: np.ndarray, believed: np.ndarray) -> float:
    """Bounds the information in nats that pictures hold about a code U(−1, 1), from below.

    What is believed of a code is taken for the mean of a normal distribution, whose deviation is that of the errors:
    log 2 − ½·log(2πe·mean square error).

    Args:
      codes: (N,), drawn from U(−1, 1).
      believed: what was read from the pictures, (N,).

    Returns:
      Nats; 0 where the bound is below, as the information never is.
    """
    error = float(np.mean(np.square(codes.astype(np.float64) - believed)))
    if error == 0.0:
        return 0.0  # of one example or none: a continuous code is never read exactly
    return max(0.0, math.log(2.0) - 0.5 * math.log(2.0 * math.pi * math.e * error))


def slants(images: np.ndarray) -> np.ndarray:
    """Measures how far strokes lean to the right, by the shear that the image moments show.

    Args:
      images: (N, H, W), the more ink the larger, 0 without.

    Returns:
      Degrees (N,), 0 for upright strokes, above 0 if they lean to the right; 0 for pictures without ink.
    """
    weights = images.astype(np.float64)
    ink = weights.sum(axis=(1, 2))
    safe = np.where(ink > 0, ink, 1.0)
    rows, columns = np.arange(images.shape[1]), np.arange(images.shape[2])
    across = columns - ((weights.sum(axis=1) @ columns) / safe)[:, None]
    down = rows - ((weights.sum(axis=2) @ rows) / safe)[:, None]
    variance = (weights.sum(axis=2) * down**2).sum(axis=1)
    covariance = np.einsum("nhw,nh,nw->n", weights, down, across)
    shear = np.where(variance > 0, -covariance / np.where(variance > 0, variance, 1.0), 0.0)  # rows are counted down
    return np.degrees(np.arctan(shear))


def thicknesses(images: np.ndarray) -> np.ndarray:
    """Measures the mean width of strokes in pixels: twice the ink over the length of its outline.

    Args:
      images: (N, H, W), ink between 0 and 1; what is grey counts in part.

    Returns:
      (N,); 0 for pictures without ink. A long bar has its own width.
    """
    ink = np.pad(images.astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    down, across = np.diff(ink, axis=1)[:, :, :-1], np.diff(ink, axis=2)[:, :-1]
    outline = np.sqrt(down**2 + across**2).sum(axis=(1, 2))
    return np.where(outline > 0, 2.0 * ink.sum(axis=(1, 2)) / np.where(outline > 0, outline, 1.0), 0.0)


def correlation_within(one: np.ndarray, other: np.ndarray, classes: np.ndarray) -> tuple[float, float]:
    """Correlates two properties of examples within classes: each is first centred on the mean of its class.

    Args:
      one: (N,).
      other: (N,).
      classes: integers (N,), counted from 0.

    Returns:
      Pearson's correlation, 0 where one of the two does not vary, and its standard error (1 − r²)/√(N − 1).
    """
    centred = [_centred(np.asarray(values, np.float64), classes) for values in (one, other)]
    scale = math.sqrt(float(np.square(centred[0]).sum() * np.square(centred[1]).sum()))
    value = float(np.clip((centred[0] * centred[1]).sum() / scale, -1.0, 1.0)) if scale > 0 else 0.0
    return value, (1.0 - value**2) / math.sqrt(max(1, len(one) - 1))


def _centred(values: np.ndarray, classes: np.ndarray) -> np.ndarray:
    counts = np.bincount(classes)
    means = np.bincount(classes, values) / np.maximum(counts, 1)
    return values - means[classes]
