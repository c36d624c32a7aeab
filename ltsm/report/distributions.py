"""Tails of Student's t and of the F distribution, for degrees of freedom that need not be whole."""

from __future__ import annotations

import math

_TINY = 1e-300
_PRECISION = 1e-15
_MOST_TERMS = 10_000


def t_test(t: float, freedom: float) -> float:
    """Two-sided p: how often Student's distribution is at least as far from 0 as t."""
    whole = freedom + t * t
    return incomplete_beta(freedom / 2, 0.5, freedom / whole, t * t / whole)


def f_tail(ratio: float, above: float, below: float) -> float:
    """P(F ≥ ratio) with `above` and `below` degrees of freedom of numerator and denominator."""
    whole = below + above * ratio
    return incomplete_beta(below / 2, above / 2, below / whole, above * ratio / whole)


def incomplete_beta(a: float, b: float, x: float, rest: float) -> float:
    """The regularised incomplete beta function I_x(a, b), for a, b > 0 and x in [0, 1].

    By its continued fraction (Abramowitz and Stegun 26.5.8), which converges fast below the mean; above
    it by the symmetry I_x(a, b) = 1 − I_{1−x}(b, a). `rest` is 1 − x, which the caller knows more precisely.
    """
    if x <= 0 or rest <= 0:
        return float(rest <= 0)
    if x > (a + 1) / (a + b + 2):
        return 1 - _by_fraction(b, a, rest, x)
    return _by_fraction(a, b, x, rest)


def _by_fraction(a: float, b: float, x: float, rest: float) -> float:
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(rest)
    return math.exp(scale) / (a * _fraction(a, b, x))


def _fraction(a: float, b: float, x: float) -> float:
    """1 + d₁/(1 + d₂/(1 + …)), by Lentz's method in Thompson and Barnett's form."""
    value, up, down = 1.0, 1.0, 0.0
    for i in range(1, _MOST_TERMS):
        m, odd = divmod(i, 2)
        if odd:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        down = 1 / (1 + term * down or _TINY)
        up = 1 + term / up or _TINY
        value *= up * down
        if abs(up * down - 1) < _PRECISION:
            break
    return value
