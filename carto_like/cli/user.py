"""``carto-like user``: making, listing and deleting the platform's users."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any, TextIO, TypeVar

import click

from carto_like.cli.home import at_home
from carto_like.cli.options import as_json
from carto_like.cli.output import print_json, print_table
from carto_like.server.accounts import Account
from carto_like.server.deployment import Home, joined, opened_platform
from carto_like.server.errors import Problem
from carto_like.server.platform import Platform
from carto_like.server.services.iotile.accounts import Accounts
from carto_like.server.services.organizations import Organizations
from carto_like.server.services.users import Changes

__all__ = ["user"]

T = TypeVar("T")


@click.group()
def user() -> None:
    """Make, list and delete the platform's users.

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
@click.option(
    "--organization",
    metavar="NAME",
    help="Organization that the user shall be in; made when there is none of that name, and then the user's.",
)
@click.option("--org-admin", is_flag=True, help="Let the user manage the organization's users.")
@as_json
def create(
    home: Home,
    name: str,
    api_key: str | None,
    quota: int | None,
    email: str | None,
    organization: str | None,
    org_admin: bool,
    json_output: bool,
) -> None:
    """Make a user and print the key."""
    if org_admin and organization is None:
        raise click.UsageError("--org-admin needs --organization")

    async def work(platform: Platform) -> tuple[Account, str]:
        if organization is None:
            account = await platform.users.create(name, api_key=api_key, quota_bytes=quota, email=email)
        else:
            account = await Organizations(platform.database, platform.users).create_user(
                organization,
                name,
                api_key=api_key,
                changes=Changes(email=email, quota_bytes=quota, org_admin=org_admin),
            )
        return account, (await platform.users.keys(account))[0].token

    account, token = _on_platform(home, work)
    if json_output:
        print_json({**_described(account), "api_key": token})
    else:
        click.echo(f"User {account.name} has this key: {token}")


@user.command("list")
@at_home
@as_json
def list_users(home: Home, json_output: bool) -> None:
    """List the users."""
    users = [_described(account) for account in _on_platform(home, lambda platform: platform.users.list())]
    if json_output:
        print_json(users)
    else:
        print_table(["user", "id", "quota_in_bytes", "organization", "role"], users)


@user.command()
@click.argument("name")
@click.argument("organization")
@at_home
@click.option("--org-admin", is_flag=True, help="Let the user manage the organization's users.")
def join(home: Home, name: str, organization: str, org_admin: bool) -> None:
    """Put the user NAME into an ORGANIZATION; its first user owns it."""

    async def work(platform: Platform) -> Account:
        organizations = Organizations(platform.database, platform.users)
        return await organizations.join(await _known(platform, name), organization, is_admin=org_admin)

    joined_user = _described(_on_platform(home, work))
    click.echo(f"User {name} is in {joined_user['organization']} as {joined_user['role']}.")


@user.command()
@click.argument("name")
@at_home
@click.option(
    "--password-file",
    type=click.File("r"),
    help="File whose first line is the password, - for standard input; asked for when not given "
    "[CARTO_LIKE_PASSWORD].",
)
def password(home: Home, name: str, password_file: TextIO | None) -> None:
    """Set a password with which the user NAME logs in to IOTile Cloud, besides the key.

    Tokens that were issued before are void.
    """
    if password_file is not None:
        given = password_file.readline().rstrip("\r\n")
    else:
        given = os.environ.get("CARTO_LIKE_PASSWORD") or click.prompt(
            "Password", hide_input=True, confirmation_prompt=True, err=True
        )

    async def work(platform: Platform) -> None:
        account = await _known(platform, name)
        await Accounts(platform.database, platform.secrets).set_password(account.id, given)

    _on_platform(home, work)
    click.echo(f"User {name} has a new password.")


@user.command()
@click.argument("name")
@at_home
@click.option("--revoke", is_flag=True, help="Let the user do so no longer.")
def staff(home: Home, name: str, revoke: bool) -> None:
    """Let the user NAME keep the catalogues of IOTile Cloud: units, sensor graphs, device templates."""

    async def work(platform: Platform) -> None:
        account = await _known(platform, name)
        await Accounts(platform.database, platform.secrets).set_staff(account.id, not revoke)

    _on_platform(home, work)
    click.echo(f"User {name} is {'no longer' if revoke else 'now'} of the staff.")


@user.command()
@click.argument("name")
@at_home
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(home: Home, name: str, yes: bool) -> None:
    """Delete a user with all datasets, tables and keys; running queries of that user end."""
    if not yes:
        click.confirm(f"Delete the user '{name}' with everything that is theirs?", abort=True, err=True)

    async def work(platform: Platform) -> None:
        await platform.users.delete(await _known(platform, name))

    _on_platform(home, work)
    click.echo(f"User {name} is deleted.")


def _on_platform(home: Home, work: Callable[[Platform], Awaitable[T]]) -> T:
    async def run() -> T:
        async with opened_platform(settings) as platform:
            return await work(platform)

    with joined(home) as settings:
        return asyncio.run(run())


async def _known(platform: Platform, name: str) -> Account:
    account = await platform.users.get(name)
    if account is None:
        raise Problem(404, f"There is no user '{name}'.")
    return account


def _described(account: Account) -> dict[str, Any]:
    membership = account.membership
    role = None
    if membership is not None:
        role = "owner" if membership.is_owner else "admin" if membership.is_admin else "user"
    return {
        "user": account.name,
        "id": str(account.id),
        "quota_in_bytes": account.quota_bytes,
        "organization": membership.organization if membership else None,
        "role": role,
    }
