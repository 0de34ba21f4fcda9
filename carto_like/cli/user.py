"""``carto-like user``: making and listing the platform's users."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from carto_like.cli.home import at_home
from carto_like.cli.options import as_json
from carto_like.cli.output import print_json, print_table
from carto_like.server.accounts import Account
from carto_like.server.deployment import Home, joined, opened_platform
from carto_like.server.settings import Settings

__all__ = ["user"]


@click.group()
def user() -> None:
    """Make and list the platform's users.

    Works on the private database of the data directory, whether a server runs on it or not, or with --dsn.
    """


@user.command()
@click.argument("name")
@at_home
@click.option(
    "--api-key",
    envvar="CARTO_LIKE_API_KEY",
    metavar="KEY",
    help="Master key of the user, made when not given; only for throwaway keys [CARTO_LIKE_API_KEY].",
)
@click.option("--quota", type=click.IntRange(0), help="Storage allowed, in bytes; 0 is unlimited.")
@click.option("--email", help="Address of the user.")
@as_json
def create(
    home: Home, name: str, api_key: str | None, quota: int | None, email: str | None, json_output: bool
) -> None:
    """Make a user and print the key."""

    async def work(settings: Settings) -> tuple[Account, str]:
        async with opened_platform(settings) as platform:
            account = await platform.users.create(name, api_key=api_key, quota_bytes=quota, email=email)
            return account, (await platform.users.keys(account))[0].token

    with joined(home) as settings:
        account, token = asyncio.run(work(settings))
    if json_output:
        print_json({**_described(account), "api_key": token})
    else:
        click.echo(f"User {account.name} has this key: {token}")


@user.command("list")
@at_home
@as_json
def list_users(home: Home, json_output: bool) -> None:
    """List the users."""

    async def work(settings: Settings) -> list[Account]:
        async with opened_platform(settings) as platform:
            return await platform.users.list()

    with joined(home) as settings:
        users = [_described(account) for account in asyncio.run(work(settings))]
    if json_output:
        print_json(users)
    else:
        print_table(["user", "id", "quota_in_bytes"], users)


def _described(account: Account) -> dict[str, Any]:
    return {"user": account.name, "id": str(account.id), "quota_in_bytes": account.quota_bytes}
