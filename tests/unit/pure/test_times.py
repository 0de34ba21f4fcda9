from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from carto_like.pure.times import Zone, interval_parts, iso_date

UTC = Zone("UTC", ZoneInfo("UTC"))
ROME = Zone("Europe/Rome", ZoneInfo("Europe/Rome"))


@pytest.mark.parametrize(
    ("text", "in_utc", "in_rome"),
    [
        ("2020-01-02", "2020-01-02T00:00:00Z", "2020-01-02T00:00:00+0100"),
        ("2020-07-02 03:04:05.999999", "2020-07-02T03:04:05Z", "2020-07-02T03:04:05+0200"),
        ("2020-01-02 03:04:05+00", "2020-01-02T03:04:05Z", "2020-01-02T04:04:05+0100"),
        ("2020-01-02 03:04:05.5-05:30", "2020-01-02T08:34:05Z", "2020-01-02T09:34:05+0100"),
        ("0001-01-01", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+0049"),
        ("infinity", "Infinity", "Infinity"),
        ("-infinity", "-Infinity", "-Infinity"),
        ("0044-03-15 BC", "0044-03-15 BC", "0044-03-15 BC"),
        ("12020-01-01", "12020-01-01", "12020-01-01"),
        ("02.01.2020", "02.01.2020", "02.01.2020"),
    ],
)
def test_dates(text: str, in_utc: str, in_rome: str) -> None:
    assert (iso_date(text, UTC), iso_date(text, ROME)) == (in_utc, in_rome)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1 year 2 mons 3 days 04:05:06.789", (1, 2, 3, 4, 5, 6, 789)),
        ("-1 years -2 mons +3 days -04:05:06.7", (-1, -2, 3, -4, -5, -6, -700)),
        ("00:00:00.0005", (0, 0, 0, 0, 0, 0, 0.5)),
        ("100:00:00", (0, 0, 0, 100, 0, 0, 0)),
        ("00:00:00", (0,) * 7),
        ("3 days", (0, 0, 3, 0, 0, 0, 0)),
    ],
)
def test_intervals(text: str, parts: tuple[float, ...]) -> None:
    names = ("years", "months", "days", "hours", "minutes", "seconds", "milliseconds")
    expected = {name: value for name, value in zip(names, parts, strict=True) if value}
    assert interval_parts(text) == expected


@pytest.mark.parametrize("text", ["", "P1Y", "@ 1 year ago", "1 fortnight"])
def test_intervals_in_another_style_are_left_alone(text: str) -> None:
    assert interval_parts(text) is None
