"""Options that change the platform's limits, as one value."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from carto_like.server.settings import RATE_GROUPS, Limits, RateLimit

__all__ = ["limited"]

Command = TypeVar("Command", bound=Callable[..., Any])


def _limit_values() -> dict[str, Any]:
    return {name: default for name, default, _ in Limits.table() if name != "rate_limits"}


def _limits(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, Any]:
    defaults = _limit_values()
    limits = {}
    for text in given:
        name, _equals, value = text.partition("=")
        if name not in defaults:
            raise click.BadParameter(f"there is no limit '{name}'; there are {', '.join(defaults)}")
        try:
            limits[name] = type(defaults[name])(value)
        except ValueError:
            raise click.BadParameter(f"'{value}' is no number for {name}") from None
    return limits


def _rate_limits(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, Any]:
    limits: dict[str, tuple[RateLimit, ...]] = {}
    for text in given:
        group, _equals, rate = text.partition("=")
        count, _slash, period = rate.partition("/")
        try:
            limit = RateLimit(burst=int(count), count=int(count), period=float(period or 1))
        except ValueError:
            raise click.BadParameter(
                f"'{text}' is not of the form GROUP=REQUESTS/SECONDS, with numbers above 0"
            ) from None
        limits[group] = (*limits.get(group, ()), limit)
    return limits


_OPTIONS = (
    click.option(
        "--limit",
        "limits",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_limits,
        help=f"Change a limit; may be repeated. There are: {', '.join(_limit_values())}.",
    ),
    click.option(
        "--rate-limit",
        "rate_limits",
        multiple=True,
        metavar="GROUP=REQUESTS/SECONDS",
        callback=_rate_limits,
        help=f"Limit how often each account may ask; may be repeated. Groups: {', '.join(RATE_GROUPS)}.",
    ),
)


def limited(command: Command) -> Command:
    """Give a command the options that change limits, and the limits as ``limits``."""

    @wraps(command)
    def wrapper(*args: Any, limits: dict[str, Any], rate_limits: dict[str, Any], **kwargs: Any) -> Any:
        try:
            all_limits = Limits(**limits, rate_limits=rate_limits)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        return command(*args, limits=all_limits, **kwargs)

    for option in reversed(_OPTIONS):
        wrapper = option(wrapper)
    return wrapper  # type: ignore[return-value]  # click's options keep the callable's type, wraps() does not
