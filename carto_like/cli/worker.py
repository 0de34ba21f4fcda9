"""``carto-like worker``: another process that runs the platform's jobs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from carto_like.cli.home import at_home
from carto_like.cli.limits import limited
from carto_like.cli.output import say
from carto_like.cli.settings import working
from carto_like.server.deployment import Home, joined
from carto_like.server.jobs.process import work
from carto_like.server.launch import configure_logging, interruptible
from carto_like.server.settings import Limits

__all__ = ["worker"]


@click.command()
@at_home
@limited
@working
def worker(home: Home, limits: Limits, settings: dict[str, Any]) -> None:
    """Run batch jobs and imports in another process.

    They come on top of what 'serve' runs itself. Any number of workers may run, on any machine that reaches
    the database; give all of them the same limits and the same folder of uploads. SIGINT (Ctrl-C) and SIGTERM
    let jobs finish that end soon, put the others back and stop the worker.
    """
    configure_logging()
    with interruptible(), joined(home) as found:
        work(replace(found, limits=limits, **settings), lambda: say("The worker is ready. Ctrl-C stops it."))
