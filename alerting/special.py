"""ln Gamma, fast enough to be called thirty times a bin."""

from __future__ import annotations

import math

from alerting.brand_state import compiled

HALF_LOG_TWO_PI = 0.9189385332046727


@compiled
def log_gamma(x: float) -> float:
    """ln Gamma(x) for x > 0: Stirling's series from 8 on, reached by the recurrence (Abramowitz & Stegun 6.1.40)."""
    product = 1.0
    while x < 8.0:
        product *= x
        x += 1.0
    inverse = 1.0 / x
    square = inverse * inverse
    series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680))))
    return (x - 0.5) * math.log(x) - x + HALF_LOG_TWO_PI + series - math.log(product)


@compiled
def log_rising(x: float, n: float) -> float:
    """ln Gamma(x + n) - ln Gamma(x); few logarithms where n is a small whole number."""
    if n <= 16.0 and n == math.floor(n):
        product = 1.0
        for i in range(int(n)):
            product *= x + i
        return math.log(product)
    return log_gamma(x + n) - log_gamma(x)
