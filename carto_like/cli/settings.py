"""Options of the processes that serve and work, as the settings they change."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import click

__all__ = ["serving", "working"]

Command = TypeVar("Command", bound=Callable[..., Any])

# What stands for {s} is said by maps, so it may be no more than the first part of a name.
_TILE_HOST = re.compile(r"(?:\{s\}\.)?[^{}@\s]+")


def _zone(_: click.Context, __: click.Parameter, given: str | None) -> str | None:
    if given is not None:
        try:
            ZoneInfo(given)
        except (ValueError, OSError, KeyError):
            raise click.BadParameter(
                f"'{given}' is no time zone; give a name such as UTC or Europe/Lisbon"
            ) from None
    return given


def _root(_: click.Context, __: click.Parameter, given: str | None) -> str | None:
    if given is None:
        return None
    parts = urlsplit(given)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/") or parts.query:
        raise click.BadParameter("give scheme and host, and a port if need be: https://maps.example.org")
    return f"{parts.scheme}://{parts.netloc}"


def _beginnings(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...] | None:
    for address in given:
        parts = urlsplit(address)
        whole = parts.scheme in ("http", "https") and parts.path.startswith("/")
        if not whole or not _TILE_HOST.fullmatch(parts.netloc):
            raise click.BadParameter(
                f"'{address}' must hold http or https, a whole host and a slash after it, such as "
                "https://{s}.tile.example.org/"
            )
    return given or None


_WORKING = {
    "import_addresses": click.option(
        "--import-addresses",
        type=click.Choice(["public", "loopback", "any"]),
        envvar="CARTO_LIKE_IMPORT_ADDRESSES",
        help="Where imports may be fetched from: public addresses, those and this machine, or any. A server "
        "on a loopback address takes loopback when not told otherwise, all else public "
        "[CARTO_LIKE_IMPORT_ADDRESSES].",
    ),
    "uploads_dir": click.option(
        "--uploads-dir",
        type=click.Path(file_okay=False, path_type=Path),
        envvar="CARTO_LIKE_UPLOADS_DIR",
        help="Folder in which files wait for their import; servers and workers must share it. By default it "
        "is in the data directory [CARTO_LIKE_UPLOADS_DIR].",
    ),
    "timezone": click.option(
        "--timezone",
        metavar="ZONE",
        callback=_zone,
        envvar="CARTO_LIKE_TIMEZONE",
        help="Time zone that dates without one are read in, and all are shown in; UTC when none is given "
        "[CARTO_LIKE_TIMEZONE].",
    ),
}
_SERVING = {
    **_WORKING,
    "public_url": click.option(
        "--public-url",
        metavar="URL",
        callback=_root,
        envvar="CARTO_LIKE_PUBLIC_URL",
        help="Scheme and host under which clients reach this server, for addresses in answers; each "
        "request's own when none is given [CARTO_LIKE_PUBLIC_URL].",
    ),
    "basemaps": click.option(
        "--basemap",
        "basemaps",
        metavar="URL",
        multiple=True,
        callback=_beginnings,
        envvar="CARTO_LIKE_BASEMAPS",
        help="A tile server that maps may lie on: how the addresses in their http layers begin, such as "
        "https://{s}.tile.example.org/. May be given several times; without it no other server is asked "
        "[CARTO_LIKE_BASEMAPS, separated by spaces].",
    ),
    "hard_system_tables": click.option(
        "--hard-system-tables",
        is_flag=True,
        default=None,
        help="Forbid system tables to master keys, too.",
    ),
}


def working(command: Command) -> Command:
    """Give a command the options of a worker, and what was said by them as ``settings``."""
    return _with(command, _WORKING)


def serving(command: Command) -> Command:
    """Give a command the options of a server, and what was said by them as ``settings``."""
    return _with(command, _SERVING)


def _with(command: Command, options: dict[str, Callable[[Any], Any]]) -> Command:
    @wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        given = {name: kwargs.pop(name) for name in options}
        said = {name: value for name, value in given.items() if value is not None}
        return command(*args, settings=said, **kwargs)

    for option in reversed(options.values()):
        wrapper = option(wrapper)
    return wrapper  # type: ignore[return-value]  # click's options keep the callable's type, wraps() does not
