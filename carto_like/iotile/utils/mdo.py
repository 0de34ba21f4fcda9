"""Converting readings by multiplication, division and offset."""

from __future__ import annotations

import math

__all__ = ["MdoHelper"]


class MdoHelper:
    """The conversion ``v * m / d + o`` and its inverse.

    Args:
        m: factor, not zero.
        d: divisor, not zero.
        o: offset in the unit of the result; None for none.

    Raises:
        TypeError: one of them is no number.
        ValueError: one of them is infinite or not a number, or ``m`` or ``d`` is zero.

    Example:
        >>> MdoHelper(3, 2, 0.5).compute(5)
        8.0
    """

    def __init__(self, m: float, d: float, o: float | None = None) -> None:
        for name, value in (("m", m), ("d", d), ("o", 0 if o is None else o)):
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"{name} is a number, not {value!r}")
            if not math.isfinite(value):
                raise ValueError(f"{name} is a finite number, not {value!r}")
        for name, value in (("m", m), ("d", d)):
            if value == 0:
                raise ValueError(f"{name} must not be {value!r}")
        self._m = float(m)
        self._d = float(d)
        self._o = None if o is None else float(o)

    def __str__(self) -> str:
        ratio = f"{self._m}x/{self._d}"
        return f"{self._o}+{ratio}" if self._o else ratio

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._m}, {self._d}, {self._o})"

    def compute(self, value: float) -> float:
        """The converted value."""
        return value * self._m / self._d + (self._o or 0.0)

    def compute_value(self, value: float) -> float:
        """The same as :meth:`compute`, under the name the documentation of the platform uses."""
        return self.compute(value)

    def compute_reverse(self, value: float) -> float:
        """The value that :meth:`compute` makes this of."""
        return (value - (self._o or 0.0)) * self._d / self._m
