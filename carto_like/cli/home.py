"""Options of the commands that work on a deployment itself: where it lives, and its secret."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from carto_like.cli.local import default_data_dir
from carto_like.server.deployment import Home
from carto_like.server.errors import Problem, StartError

__all__ = ["at_home", "refusals_explained"]

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--data-dir",
        envvar="CARTO_LIKE_DATA_DIR",
        type=click.Path(file_okay=False, path_type=Path),
        help="Where the private database and its secret are [CARTO_LIKE_DATA_DIR].",
    ),
    click.option(
        "--dsn",
        envvar="CARTO_LIKE_DSN",
        metavar="DSN",
        help="Use this existing database instead. Everybody on the machine can read a command line: a "
        "password belongs into the environment or a pgpass file [CARTO_LIKE_DSN].",
    ),
    click.option(
        "--secret-file",
        envvar="CARTO_LIKE_SECRET_FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="File that holds the instance secret; CARTO_LIKE_SECRET may hold the secret itself "
        "[CARTO_LIKE_SECRET_FILE].",
    ),
)


def at_home(command: Command) -> Command:
    """Give a command the options that say where a deployment lives, and a ``Home`` as its first argument."""

    @wraps(command)
    def wrapper(
        *args: Any, data_dir: Path | None, dsn: str | None, secret_file: Path | None, **kwargs: Any
    ) -> Any:
        if data_dir is None and dsn is None:
            data_dir = default_data_dir()
        given = os.environ.get("CARTO_LIKE_SECRET")
        home = Home(data_dir, dsn, given.encode() if given else None, secret_file)
        with refusals_explained():
            return command(home, *args, **kwargs)

    for option in reversed(_OPTIONS):
        wrapper = option(wrapper)
    return wrapper  # type: ignore[return-value]  # click's options keep the callable's type, wraps() does not


@contextmanager
def refusals_explained() -> Iterator[None]:
    """Turn what the server's modules refuse into a message and exit code 1."""
    try:
        yield
    except (StartError, Problem) as error:
        raise click.ClickException(str(error)) from None
