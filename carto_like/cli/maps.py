"""``carto-like maps``: list, make, delete, open and draw named maps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import click

from carto_like.cli.open import browser, show_page
from carto_like.cli.options import as_json, connected
from carto_like.cli.output import print_json, say
from carto_like.exceptions import ForbiddenErrorException
from carto_like.maps import NamedMap, NamedMapManager

__all__ = ["maps"]


def numbers(*names: str) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    """What reads as many numbers, separated by commas, as there are names."""

    def read(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
        if value is None:
            return None
        try:
            found = tuple(float(part) for part in value.split(","))
        except ValueError:
            found = ()
        if len(found) != len(names):
            raise click.BadParameter(f"{value!r} is not {','.join(names)}")
        return found

    return read


def pairs(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """The values by name, of what was given as NAME=VALUE."""
    found = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{value!r} is not NAME=VALUE")
        found[name] = text
    return found


@click.group()
def maps() -> None:
    """List, make, delete, open and draw named maps."""


@maps.command("list")
@as_json
@connected
def list_maps(client: Any, json_output: bool) -> None:
    """List the names of the account's maps."""
    names = [named_map.template_id for named_map in NamedMapManager(client).iterate()]
    if json_output:
        print_json(names)
    else:
        for name in names:
            click.echo(name)


@maps.command()
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option("--name", help="Name of the map, instead of the one in the file.")
@click.option("--replace", is_flag=True, help="Replace a map of that name.")
@connected
def create(client: Any, file: IO[str], name: str | None, replace: bool) -> None:
    """Make a map of the template in FILE, which is JSON; - reads it from stdin."""
    template = _template(file, name)
    manager = NamedMapManager(client)
    found = manager.get_or_none(template["name"]) if replace and template.get("name") else None
    if found is None:
        created = manager.create(template=template)
    else:
        created = manager.build(template["name"])
        created.fill(template)
        created.save()
    say(f"{'Made' if found is None else 'Replaced'} the map {created}.")


@maps.command()
@click.argument("name")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@connected
def delete(client: Any, name: str, yes: bool) -> None:
    """Delete the map NAME. Instances that are being looked at go on."""
    if not yes:
        click.confirm(f"Delete the map {name}?", abort=True, err=True)
    NamedMapManager(client).build(name).delete()
    say(f"Deleted {name}.")


@maps.command("open")
@click.argument("name")
@browser
@connected
def open_map(client: Any, name: str, in_browser: bool) -> None:
    """Look at the map NAME in a browser.

    Prints a link to the map's page, and opens it. The link works once and for a minute. It takes the master
    key to get one; the key is not in it.
    """
    show_page(client, f"map/{name}", in_browser=in_browser)


@maps.command()
@click.argument("name")
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--width", default=800, show_default=True, type=click.IntRange(1), help="Pixels.")
@click.option("--height", default=600, show_default=True, type=click.IntRange(1), help="Pixels.")
@click.option("--center", callback=numbers("LNG", "LAT"), metavar="LNG,LAT", help="Middle, with --zoom.")
@click.option("--zoom", type=click.IntRange(0), help="Zoom of the tiles, with --center.")
@click.option(
    "--bbox", callback=numbers("W", "S", "E", "N"), metavar="W,S,E,N", help="What must be in the picture."
)
@click.option(
    "--param",
    "-p",
    "params",
    multiple=True,
    callback=pairs,
    metavar="NAME=VALUE",
    help="A placeholder's value.",
)
@click.option(
    "--auth-token",
    envvar="CARTO_MAP_TOKEN",
    metavar="TOKEN",
    help="Token of a map that asks for one; with the master key it is not needed [CARTO_MAP_TOKEN].",
)
@connected
def static(
    client: Any,
    name: str,
    out: Path,
    width: int,
    height: int,
    center: tuple[float, float] | None,
    zoom: int | None,
    bbox: tuple[float, float, float, float] | None,
    params: dict[str, str],
    auth_token: str | None,
) -> None:
    """Write a picture of the map NAME to the file OUT, a PNG or, when it ends in .jpg, a JPEG."""
    named_map = _find(client, name)
    if params or auth_token is not None:
        named_map.instantiate(params, auth_token or named_map.token)
    written = named_map.save_image(out, width, height, center=center, zoom=zoom, bbox=bbox)
    say(f"Wrote {written} ({written.stat().st_size:,} bytes).")


def _find(client: Any, name: str) -> NamedMap:
    """The map; for those who may not read templates, what is known of it without."""
    manager = NamedMapManager(client)
    try:
        return manager.get(name)
    except ForbiddenErrorException:
        return manager.build(name)


def _template(file: IO[str], name: str | None) -> dict[str, Any]:
    try:
        template = json.load(file)
    except ValueError as error:
        raise click.ClickException(f"{file.name} is not JSON: {error}") from None
    if not isinstance(template, dict):
        raise click.ClickException(f"{file.name} holds no template: it must be a JSON object")
    return template if name is None else {**template, "name": name}
