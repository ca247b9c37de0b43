"""Outlines as arrays of points (n, 2): splines, ellipses and tapered strokes."""

from functools import lru_cache

import numpy as np

Point = tuple[float, float] | np.ndarray

_STEPS = 6
_T = np.arange(_STEPS) / _STEPS
# Catmull-Rom weights of the four points around a segment, at each step along it.
_SPLINE = 0.5 * np.stack(
    [-_T + 2 * _T**2 - _T**3, 2 - 5 * _T**2 + 3 * _T**3, _T + 4 * _T**2 - 3 * _T**3, -(_T**2) + _T**3], axis=1
)
_FLIP = np.array([-1.0, 1.0])
_U = np.linspace(0, 1, 9)
_QUADRATIC = np.stack([(1 - _U) ** 2, 2 * _U * (1 - _U), _U**2], axis=1)
_ANGLES = np.linspace(0, 2 * np.pi, 28, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)


def _spline(padded: np.ndarray) -> np.ndarray:
    windows = np.stack([padded[:-3], padded[1:-2], padded[2:-1], padded[3:]], axis=1)
    points = (_SPLINE @ windows).reshape(-1, 2)
    points.flags.writeable = False
    return points


@lru_cache(maxsize=512)
def loop(*points: tuple[float, float]) -> np.ndarray:
    """Returns a smooth closed outline through the points."""
    corners = np.array(points)
    return _spline(np.concatenate([corners[-1:], corners, corners[:2]]))


@lru_cache(maxsize=512)
def curve(*points: tuple[float, float]) -> np.ndarray:
    """Returns a smooth open line through the points, including both ends."""
    stations = np.array(points)
    inner = _spline(np.concatenate([stations[:1], stations, stations[-1:]]))
    line = np.concatenate([inner, stations[-1:]])
    line.flags.writeable = False
    return line


def bend(start: Point, control: Point, end: Point) -> np.ndarray:
    """Returns a quadratic Bézier curve of nine points.

    Args:
      start: the first point.
      control: the control point.
      end: the last point.
    """
    return _QUADRATIC @ np.asarray((start, control, end), float)


def ellipse(x: float, y: float, radius_x: float, radius_y: float | None = None, angle: float = 0.0) -> np.ndarray:
    """Returns an ellipse.

    Args:
      x: horizontal position of the centre.
      y: vertical position of the centre.
      radius_x: horizontal radius.
      radius_y: vertical radius; None makes a circle.
      angle: rotation in radians.
    """
    points = _CIRCLE * (radius_x, radius_x if radius_y is None else radius_y)
    if angle:
        cosine, sine = np.cos(angle), np.sin(angle)
        points = points @ np.array([[cosine, sine], [-sine, cosine]])
    return points + (x, y)


def joined(*lines: np.ndarray) -> np.ndarray:
    """Returns one outline that follows the lines one after another."""
    return np.concatenate(lines)


def mirrored(points: np.ndarray) -> np.ndarray:
    """Returns the outline mirrored left to right."""
    return points * _FLIP


def sided(points: np.ndarray, side: int) -> np.ndarray:
    """Returns an outline for the given side, -1 (left) or 1 (right), from the outline of the right side (x > 0)."""
    return points if side > 0 else mirrored(points)


def stroke(points: np.ndarray, width: float, start: float = 0.0, end: float = 0.0) -> np.ndarray:
    """Returns the outline of a pen stroke along a line, with full width in the middle and tapered ends.

    Args:
      points: the line, (n, 2).
      width: the full width.
      start: share of the width at the first point, 0 (a sharp end) to 1.
      end: share of the width at the last point, 0 to 1.
    """
    across = _across(np.concatenate([points[:1], points, points[-1:]])) * (
        _taper(len(points), start, end) * (width / 2)
    )
    return np.concatenate([points + across, (points - across)[::-1]])


@lru_cache(maxsize=512)
def _taper(count: int, start: float, end: float) -> np.ndarray:
    along = np.linspace(0, 1, count)
    return np.maximum(np.sin(np.pi * along), np.where(along < 0.5, start, end))[:, None]


def _across(padded: np.ndarray) -> np.ndarray:
    """Returns the unit normals of a line, to its left on the screen; `padded` has one additional point at each end."""
    plane = padded.view(np.complex128)[:, 0]
    ahead = plane[2:] - plane[:-2]
    return (ahead * (-1j / (np.abs(ahead) + 1e-9))).view(np.float64).reshape(-1, 2)


def grown(points: np.ndarray, width: float) -> np.ndarray:
    """Returns a closed outline moved outwards by `width`; filled in a dark colour first, it becomes a contour."""
    padded = np.concatenate([points[-1:], points, points[:1]])
    plane = padded.view(np.complex128)[:, 0]
    area = np.vdot(plane[:-1], plane[1:]).imag  # twice the area; positive if it runs clockwise on the screen
    return points + _across(padded) * (width if area > 0 else -width)
