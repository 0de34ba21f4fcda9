"""``carto-like open``: the account's pages in a browser, without typing a key."""

from __future__ import annotations

from typing import Any

import click

from carto_like.cli.options import connected
from carto_like.cli.output import say

__all__ = ["browser", "open_page", "show_page"]

browser = click.option(
    "--browser/--no-browser",
    "in_browser",
    default=True,
    help="Open the link in this machine's browser, too; the default is to do so.",
)


@click.command("open")
@click.option(
    "--dataset", metavar="NAME", help="Show this dataset on a map, instead of the list of everything."
)
@browser
@connected
def open_page(client: Any, dataset: str | None, in_browser: bool) -> None:
    """Look at the account in a browser.

    Prints a link to the account's pages, and opens it. The link works once and for a minute. It takes the
    master key to get one; the key is not in it.
    """
    show_page(client, f"dataset/{dataset}" if dataset else "", in_browser=in_browser)


def show_page(client: Any, page: str, *, in_browser: bool) -> None:
    """Get a link to a page of the account, print it, and open it when wanted."""
    response = client.send("api/v1/page_links", "post", json={"page": page})
    link = client.get_response_data(response)["url"]
    click.echo(link)
    if in_browser and click.launch(link):
        say("No browser could be opened here. The link works once, for a minute.")
