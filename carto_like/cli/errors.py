"""The one place where errors become messages on stderr and exit codes.

0 is success; 1 means that the platform, the network or the file system said no; 2 that the command was given
wrongly.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from carto_like.cli.extras import missing_extra

if TYPE_CHECKING:
    from carto_like.core.errors import ApiError

__all__ = ["explained"]


def _expected() -> tuple[type[Exception], ...]:
    """What a command may fail with; imported when something failed, so that success does not pay for it."""
    from carto_like.core.errors import SdkError

    return (SdkError, OSError, ImportError)


def _explain(error: Exception) -> click.ClickException:
    from carto_like.core.errors import ApiError, ConfigurationError

    if isinstance(error, ImportError):
        return click.ClickException(missing_extra(error) or str(error))
    if isinstance(error, ConfigurationError):
        return click.UsageError(str(error))
    if isinstance(error, ApiError):
        return click.ClickException(_api_text(error))
    return click.ClickException(str(error))


def _api_text(error: ApiError) -> str:
    said = error.message
    text = "; ".join(map(str, said)) if isinstance(said, list) else str(said or error.reason or "refused")
    lines = [f"{text} (HTTP {error.status_code})"]
    lines += [f"{name}: {value}" for name, value in (("Detail", error.detail), ("Hint", error.hint)) if value]
    if (error.status_code or 0) >= 500 and error.request_id:
        lines.append(f"The platform's log knows this request as {error.request_id}.")
    return "\n".join(lines)


@contextmanager
def explained() -> Iterator[None]:
    """Turn the errors of the SDK, of files and of missing libraries into click's, which carry exit codes."""
    try:
        yield
    except BrokenPipeError:
        # Whoever read our output has left, as ``head`` does; click ends the program quietly.
        raise
    except _expected() as error:
        if isinstance(error, ImportError) and missing_extra(error) is None:
            raise
        raise _explain(error) from error
