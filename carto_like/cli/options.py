"""Options that several commands share, and how a command finds the platform it talks to."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from carto_like.cli.local import running_platform

if TYPE_CHECKING:
    from carto_like.auth import APIKeyAuthClient, NoAuthClient

__all__ = ["as_json", "connected", "progress", "shown"]

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--base-url", envvar="CARTO_API_URL", metavar="URL", help="Address of the account [CARTO_API_URL]."
    ),
    click.option(
        "--api-key",
        envvar="CARTO_API_KEY",
        metavar="KEY",
        help="Key of the account [CARTO_API_KEY]. Everybody on the machine can read a command line: "
        "give only throwaway keys here, and others through the environment or a file.",
    ),
    click.option(
        "--api-key-file",
        envvar="CARTO_API_KEY_FILE",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="File that holds the key [CARTO_API_KEY_FILE].",
    ),
    click.option(
        "--data-dir",
        envvar="CARTO_LIKE_DATA_DIR",
        type=click.Path(file_okay=False, path_type=Path),
        help="Where the platform of this machine keeps its data, when no address is given.",
    ),
)

as_json = click.option("--json", "json_output", is_flag=True, help="Print JSON.")
progress = click.option(
    "--progress/--no-progress",
    default=None,
    help="Show a bar on stderr; the default is to do so on a terminal.",
)


def shown(wanted: bool | None) -> bool:
    """Whether to draw a bar: as asked for, or when a person looks at stderr."""
    return sys.stderr.isatty() if wanted is None else wanted


def connected(command: Command) -> Command:
    """Give a command the options that name an account, and an auth client as its first argument."""

    @wraps(command)
    def wrapper(
        *args: Any,
        base_url: str | None,
        api_key: str | None,
        api_key_file: Path | None,
        data_dir: Path | None,
        **kwargs: Any,
    ) -> Any:
        key = api_key_file.read_text("utf-8").strip() if api_key_file and not api_key else api_key
        with _log_in(base_url, key, data_dir) as client:
            return command(client, *args, **kwargs)

    for option in reversed(_OPTIONS):
        wrapper = option(wrapper)
    return wrapper  # type: ignore[return-value]  # click's options keep the callable's type, wraps() does not


def _log_in(base_url: str | None, key: str | None, data_dir: Path | None) -> APIKeyAuthClient | NoAuthClient:
    from carto_like.auth import APIKeyAuthClient, NoAuthClient

    if base_url is None:
        found = running_platform(data_dir)
        if found is None:
            raise click.UsageError(
                "Which platform? Set CARTO_API_URL and CARTO_API_KEY, or start one on this machine with: "
                "carto-like serve"
            )
        base_url, key = found.base_url, key or found.api_key
    return APIKeyAuthClient(base_url, key) if key else NoAuthClient(base_url)
