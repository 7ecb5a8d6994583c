"""The straight line through a series of measurements, and how sure its slope is. Pure."""

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from statistics import fmean

from msgspec import Struct


class Trend(Struct, frozen=True):
    """``y = start + slope * x``; ``error`` is the standard error of the slope."""

    start: float
    slope: float
    error: float

    def at(self, x: float) -> float:
        return self.start + self.slope * x


def trend(points: Sequence[tuple[float, float]]) -> Trend:
    """By least squares, through three points or more that come at even distances.

    What is high stays high for a while, so a measurement tells less than one that depends on no other would. By so much
    as each residual predicts the next, the error is larger: for residuals that are autoregressive of first order, with
    a correlation of r, by the root of (1 + r) / (1 - r).
    """
    middle, mean = fmean(x for x, _ in points), fmean(y for _, y in points)
    spread = sum((x - middle) ** 2 for x, _ in points)
    slope = sum((x - middle) * (y - mean) for x, y in points) / spread
    start = mean - slope * middle
    residuals = [y - start - slope * x for x, y in points]
    squares = sum(residual**2 for residual in residuals)
    r = max(0.0, sum(residual * after for residual, after in pairwise(residuals)) / squares) if squares else 0.0
    return Trend(start, slope, sqrt(squares / (len(points) - 2) / spread * (1 + r) / (1 - r)))
