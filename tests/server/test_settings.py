"""Limits that cannot be are refused before a server starts with them."""

from __future__ import annotations

from typing import Any

import pytest

from carto_like.server.settings import Limits, RateLimit

NEVER_UNLIMITED = {"connections", "export_processes", "cancel_grace", "copy_window"}
NEVER_UNLIMITED |= {
    "job_concurrency",
    "job_heartbeat",
    "job_stalled_after",
    "import_timeout",
    "import_url_timeout",
    "import_unpacked_max_bytes",
    "import_unpacked_ratio",
    "map_threads",
    "map_ttl",
}
NAMES = [name for name, _, _ in Limits.table() if name != "rate_limits"]


def limits(name: str, value: Any) -> Limits:
    values: dict[str, Any] = {name: value}
    return Limits(**values)


@pytest.mark.parametrize("name", NAMES)
def test_zero_means_unlimited_unless_the_help_says_otherwise(name: str) -> None:
    said = {name for name, _, text in Limits.table() if "never unlimited" in text}
    assert said == NEVER_UNLIMITED
    if name in NEVER_UNLIMITED:
        with pytest.raises(ValueError, match=f"^{name} must be (1 or more|more than 0): "):
            limits(name, 0)
    else:
        assert getattr(limits(name, 0), name) == 0


@pytest.mark.parametrize("value", [-1, -0.5, float("nan"), float("inf")])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_amount_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be 0 or more$"):
        limits(name, value)


def test_times_that_postgresql_cannot_count_are_refused() -> None:
    with pytest.raises(ValueError, match="query_timeout must be 2000000 seconds or less"):
        Limits(query_timeout=1e9)
    assert Limits(quota_bytes=10**15).quota_bytes == 10**15


@pytest.mark.parametrize(
    "values",
    [
        {"burst": -1, "count": 1, "period": 1.0},
        {"burst": 0, "count": 0, "period": 1.0},
        {"burst": 1, "count": 1, "period": 0.0},
        {"burst": 1, "count": 1, "period": float("nan")},
    ],
)
def test_rates_that_cannot_be_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a rate limit needs"):
        RateLimit(**values)


def test_rates_are_for_what_is_counted() -> None:
    with pytest.raises(ValueError, match="no rate limits for 'everything'"):
        Limits(rate_limits={"everything": (RateLimit(1, 1, 1.0),)})
