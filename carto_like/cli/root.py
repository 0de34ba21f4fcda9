"""The group of all commands. A command's module is loaded only when that command is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

import carto_like
from carto_like.cli.errors import explained

__all__ = ["COMMANDS", "LazyGroup", "cli"]

# Name: where the command is, and its line in the list of commands.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "serve": ("carto_like.cli.serve:serve", "Run the platform on this machine."),
    "user": ("carto_like.cli.user:user", "Make, list and delete the platform's users."),
    "worker": ("carto_like.cli.worker:worker", "Run batch jobs and imports in another process."),
    "sql": ("carto_like.cli.sql:sql", "Run SQL and print the rows."),
    "copy": ("carto_like.cli.copy:copy", "Stream rows into or out of a table, as CSV."),
    "export": ("carto_like.cli.export:export", "Write a TABLE, or the result of a QUERY, to a file."),
    "batch": ("carto_like.cli.batch:batch", "Run a file of SQL as a job on the server."),
    "jobs": ("carto_like.cli.jobs:jobs", "List, watch and cancel batch jobs."),
    "import": ("carto_like.cli.imports:import_", "Make a dataset of a file or an address."),
    "sync": ("carto_like.cli.sync:sync", "Let datasets follow an address."),
    "datasets": ("carto_like.cli.datasets:datasets", "List, describe and delete datasets."),
    "maps": ("carto_like.cli.maps:maps", "List, make, delete, open and draw named maps."),
    "open": ("carto_like.cli.open:open_page", "Look at the account in a browser."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, in the order in which people need them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; says which extra to install when its libraries are absent."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what the SDK or the system refuses becomes a message and an exit code."""
        with explained():
            return super().invoke(ctx)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(carto_like.__version__, prog_name="carto-like")
def cli() -> None:
    """Work with a CARTO-compatible platform, or run one.

    Commands that talk to a platform find it through CARTO_API_URL and CARTO_API_KEY, or else talk to the one
    that runs on this machine.
    """
