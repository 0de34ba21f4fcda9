"""The entry point of ``carto-like``: works, as far as saying what is missing, without any extra."""

from __future__ import annotations

import sys

from carto_like.cli.extras import missing_extra

__all__ = ["main"]


def main() -> None:
    """Run the command line; exit code 0 is success, 1 a refusal or failure, 2 a wrongly given command."""
    try:
        from carto_like.cli.root import cli
    except ImportError as error:
        advice = missing_extra(error)
        if advice is None:
            raise
        sys.exit(advice)
    cli(prog_name="carto-like")
