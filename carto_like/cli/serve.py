"""``carto-like serve``: the platform on this machine."""

from __future__ import annotations

from typing import Any

import click

from carto_like.cli.home import at_home
from carto_like.cli.output import say
from carto_like.server.deployment import Home
from carto_like.server.launch import Options, is_loopback
from carto_like.server.launch import serve as run
from carto_like.server.settings import Limits, RateLimit
from carto_like.server.supervision import Running

__all__ = ["serve"]


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
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_limits,
    help=f"Change a limit; may be repeated. There are: {', '.join(_limit_values())}.",
)
@click.option(
    "--rate-limit",
    "rate_limits",
    multiple=True,
    metavar="GROUP=REQUESTS/SECONDS",
    callback=_rate_limits,
    help="Limit how often each account may ask; may be repeated. Groups: query, copy_from, copy_to.",
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
    limits: dict[str, Any],
    rate_limits: dict[str, Any],
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
    try:
        all_limits = Limits(**limits, rate_limits=rate_limits)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    run(
        Options(home, host, port, user, api_key, workers, all_limits),
        lambda running: _announce(running, as_json=as_json),
    )


def _announce(running: Running, *, as_json: bool) -> None:
    if as_json:
        click.echo(running.as_json())
        return
    click.echo(f"The platform is ready at {running.base_url}")
    click.echo(f"Log in as {running.user} with this key: {running.api_key}")
    click.echo("Commands such as 'carto-like sql' on this machine find both by themselves. Ctrl-C stops it.")
