"""How alike two pictures are in structure, and how sharp a picture is: of each picture by itself, without a network."""

import numpy as np

WINDOW, DEVIATION = 11, 1.5  # pixels, of the Gaussian window of the structural similarity
STABLE = (0.01**2, 0.03**2)  # added to squared means and to variances, as shares of the squared range
BRIGHTNESS = np.array([0.299, 0.587, 0.114])  # shares of red, green and blue (ITU-R BT.601)


def brightness(images: np.ndarray) -> np.ndarray:
    """Returns the brightness of pictures, uint8 (N, H, W, 3 or 1) -> float64 (N, H, W) in [0, 255]."""
    if images.shape[-1] == 1:
        return images[..., 0].astype(np.float64)
    return images.astype(np.float64) @ BRIGHTNESS


def structural_similarity(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Computes the structural similarity (SSIM) of the brightness of pictures, a pair each.

    Means, variances and covariances are those under a Gaussian window; windows lie within the picture.

    Args:
      first: uint8 (N, H, W, 3 or 1), at least 11×11.
      second: the same shape.

    Returns:
      (N,) float64: 1 for equal pictures, about 0 for unrelated ones, and not below −1.

    Raises:
      ValueError: for other shapes.

    Reference:
      Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", 2004.
    """
    if first.shape != second.shape or first.ndim != 4 or min(first.shape[1:3]) < WINDOW:
        raise ValueError(
            f"pictures {first.shape} and {second.shape}: one shape (N, H, W, C), from {WINDOW}×{WINDOW} on"
        )
    x, y = brightness(first), brightness(second)
    mean_x, mean_y = _windowed(x), _windowed(y)
    squares = _windowed(x * x) - mean_x**2 + _windowed(y * y) - mean_y**2
    covariance = _windowed(x * y) - mean_x * mean_y
    of_means, of_variances = (share * 255.0**2 for share in STABLE)
    luminance = (2 * mean_x * mean_y + of_means) / (mean_x**2 + mean_y**2 + of_means)
    structure = (2 * covariance + of_variances) / (squares + of_variances)
    return (luminance * structure).mean(axis=(1, 2))


def _windowed(x: np.ndarray) -> np.ndarray:
    """Averages (N, H, W) under the window, where it lies within the picture."""
    places = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(places**2) / (2 * DEVIATION**2))
    weights /= weights.sum()
    for axis in (1, 2):
        x = np.lib.stride_tricks.sliding_window_view(x, WINDOW, axis=axis) @ weights
    return x


def sharpness(images: np.ndarray) -> np.ndarray:
    """Computes the mean absolute Laplacian of pictures, without their borders. Noise is sharp by this measure.

    Args:
      images: uint8 (N, H, W, C).

    Returns:
      (N,) float64, of pixels in [0, 255].
    """
    x = images.astype(np.float64)
    middle = x[:, 1:-1, 1:-1]
    found = x[:, :-2, 1:-1] + x[:, 2:, 1:-1] + x[:, 1:-1, :-2] + x[:, 1:-1, 2:] - 4 * middle
    return np.abs(found).mean(axis=(1, 2, 3))
