"""``carto-like serve``: the platform on this machine."""

from __future__ import annotations

from typing import Any

import click

from carto_like.cli.home import at_home
from carto_like.cli.limits import limited
from carto_like.cli.output import say
from carto_like.cli.settings import serving
from carto_like.server.deployment import Home
from carto_like.server.launch import Options, is_loopback
from carto_like.server.launch import serve as run
from carto_like.server.settings import Limits
from carto_like.server.supervision import Running

__all__ = ["serve"]


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8080,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes a free one.",
)
@at_home
@click.option(
    "--user", default="me", show_default=True, help="The user who answers when an address names none."
)
@click.option(
    "--api-key",
    envvar="CARTO_LIKE_API_KEY",
    metavar="KEY",
    help="Master key of that user, made when not given. Everybody on the machine can read a command line: "
    "give only throwaway keys here [CARTO_LIKE_API_KEY].",
)
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Server processes to run."
)
@limited
@serving
@click.option(
    "--no-worker",
    is_flag=True,
    help="Leave batch jobs and imports to 'carto-like worker', which must then run somewhere.",
)
@click.option(
    "--tls-in-front",
    is_flag=True,
    help="Say that clients reach this server by https, through a proxy, so that keys are safe on their way.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON when ready, key included.")
def serve(
    home: Home,
    host: str,
    port: int,
    user: str,
    api_key: str | None,
    workers: int,
    limits: Limits,
    settings: dict[str, Any],
    no_worker: bool,
    tls_in_front: bool,
    as_json: bool,
) -> None:
    """Run the platform on this machine.

    Without --dsn it starts a private PostgreSQL in the data directory. SIGINT (Ctrl-C) and SIGTERM let
    running requests finish, then stop it and its database.
    """
    if not is_loopback(host) and not tls_in_front:
        say(
            f"Warning: {host} can be reached by others, and http shows them every key on its way. Put a "
            "proxy with https in front and say --tls-in-front, or listen on 127.0.0.1."
        )
    run(
        Options(home, host, port, user, api_key, workers, limits, settings, worker=not no_worker),
        lambda running: _announce(running, as_json=as_json),
    )


def _announce(running: Running, *, as_json: bool) -> None:
    if as_json:
        click.echo(running.as_json())
        return
    click.echo(f"The platform is ready at {running.base_url}")
    click.echo(f"Log in as {running.user} with this key: {running.api_key}")
    click.echo("Commands such as 'carto-like sql' on this machine find both by themselves. Ctrl-C stops it.")
