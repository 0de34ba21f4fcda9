"""Conditions of rules: joined, compared, and written as Mapnik's filters and scales."""

from __future__ import annotations

from dataclasses import dataclass, field

from .values import number, quoted

Scalar = float | str | bool | None
Test = tuple[str, str, Scalar]  # column, sign, value

MAX_ZOOM = 25
_SCALES = [
    1e9, 5e8, 2e8, 1e8, 5e7, 2.5e7, 1.25e7, 6.5e6, 3e6, 1.5e6, 7.5e5, 4e5, 2e5, 1e5, 5e4, 2.5e4, 12500, 5000,
    2500, 1500, 750, 500, 250, 100, 50, 25, 12.5,
]  # fmt: skip


@dataclass(frozen=True)
class Conditions:
    """Tests that all hold, between two zoom levels (both included)."""

    tests: frozenset[Test] = field(default_factory=frozenset)
    first: int = 0
    last: int = MAX_ZOOM

    def joined(self, other: Conditions) -> Conditions | None:
        """What holds when both do, in its shortest form; None when both never do."""
        first, last = max(self.first, other.first), min(self.last, other.last)
        if first > last:
            return None
        if other.tests <= self.tests:
            return Conditions(self.tests, first, last)
        shared = {test[0] for test in self.tests} & {test[0] for test in other.tests}
        everything = self.tests | other.tests
        if not shared:
            return Conditions(everything, first, last)
        kept = [test for test in everything if test[0] not in shared]
        for column in shared:
            tests = _reduced([test for test in everything if test[0] == column])
            if tests is None:
                return None
            kept += tests
        return Conditions(frozenset(kept), first, last)

    @property
    def filter(self) -> str:
        """The filter in Mapnik's expression language; empty without tests."""
        return " and ".join(sorted(_written(test) for test in self.tests))

    @property
    def scales(self) -> tuple[float | None, float | None]:
        """The largest and the smallest scale denominator; None where there is no limit."""
        largest = _SCALES[self.first] if self.first > 0 else None
        return largest, _SCALES[self.last + 1] if self.last < MAX_ZOOM else None


def _written(test: Test) -> str:
    column, sign, value = test
    if sign == "=~":
        return f"([{column}].match({quoted(str(value))}))"
    if value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    else:
        text = quoted(value) if isinstance(value, str) else number(value)
    return f"([{column}] {sign} {text})"


def _holds(value: Scalar, test: Test) -> bool:
    _, sign, other = test
    if sign in ("=", "!="):
        return (value == other) == (sign == "=")
    if isinstance(value, float) and isinstance(other, float):
        signs = {">": value > other, ">=": value >= other, "<": value < other, "<=": value <= other}
        return signs[sign]
    # Only the data can tell how a text compares, or whether it matches.
    return isinstance(value, str) and isinstance(other, str)


def _reduced(tests: list[Test]) -> list[Test] | None:
    equal = [test for test in tests if test[1] == "="]
    if equal:
        value = equal[0][2]
        if not all(_holds(value, test) for test in tests):
            return None
        return [equal[0], *[test for test in tests if test[1] not in ("=", "!=") and isinstance(value, str)]]
    numeric = [test for test in tests if isinstance(test[2], float)]
    # Of two limits with the same number the one without the number itself is the tighter.
    low = [(test[2], test[1] == ">", test) for test in numeric if test[1] in (">", ">=")]
    high = [(-float(str(test[2])), test[1] == "<", test) for test in numeric if test[1] in ("<", "<=")]
    limits = [max(side, key=lambda limit: limit[:2])[2] for side in (low, high) if side]
    if len(limits) == 2:
        bottom, top = float(str(limits[0][2])), float(str(limits[1][2]))
        if bottom > top or (bottom == top and (limits[0][1] == ">" or limits[1][1] == "<")):
            return None
    rest = [test for test in tests if test not in numeric or test[1] == "!="]
    return limits + [
        test
        for test in rest
        if test[1] != "!=" or test not in numeric or all(_holds(test[2], limit) for limit in limits)
    ]
