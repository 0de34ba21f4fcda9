"""Make a map of the airports of the world, and a picture of it.

python examples/map_airports.py --output airports.png

It takes the package airportsdata (pip install airportsdata), where the rows come from.
"""

from __future__ import annotations

from typing import Any

from etl_airports import COLUMNS, rows

from carto_like.auth import APIKeyAuthClient
from carto_like.maps import NamedMap, NamedMapManager
from carto_like.pure.pgtext import quote_identifier, quote_literal
from carto_like.sql import CopySQLClient, SQLClient

import account

STYLE = """
#airports {
  marker-width: 2.5;
  marker-fill: #b30000;
  marker-fill-opacity: 0.55;
  marker-line-width: 0;
  marker-allow-overlap: true;
  [elevation > 1500] { marker-fill: #fc8d59; }
  [elevation > 5000] { marker-fill: #2b8cbe; }
  [zoom >= 5] { marker-width: 7; marker-line-width: 1; marker-line-color: #fff; }
}
"""
# Most of the world, in a picture of this many pixels.
CENTER, ZOOM, WIDTH, HEIGHT = (8.0, 26.0), 2, 1000, 500


def make_dataset(auth_client: APIKeyAuthClient, name: str) -> int:
    """Load the airports into a dataset, unless it is there already; the number of its rows."""
    sql = SQLClient(auth_client)
    table = quote_identifier(name)
    if sql.send(f"SELECT to_regclass({quote_literal(table)}) IS NULL AS absent")["rows"][0]["absent"]:
        sql.send(
            f"CREATE TABLE {table} ({', '.join(f'{column} {kind}' for column, kind in COLUMNS.items())})"
        )
        sql.send(f"SELECT CDB_CartodbfyTable({quote_literal(table)}::regclass)")
        CopySQLClient(auth_client).copyfrom_rows(name, rows(), columns=list(COLUMNS))
    found: int = sql.send(f"SELECT count(*) AS rows FROM {table}")["rows"][0]["rows"]
    return found


def template_of(name: str) -> dict[str, Any]:
    """A template that draws the dataset, and shows an airport's attributes to those who click on it."""
    options = {
        "sql": f"SELECT * FROM {quote_identifier(name)}",
        "cartocss": STYLE,
        "cartocss_version": "2.3.0",
        "attributes": {"id": "cartodb_id", "columns": ["icao", "name", "city", "country", "elevation"]},
    }
    lng, lat = CENTER
    return {
        "version": "0.0.1",
        "name": name,
        "auth": {"method": "open"},
        "layergroup": {"version": "1.8.0", "layers": [{"type": "cartodb", "options": options}]},
        "view": {"zoom": ZOOM, "center": {"lng": lng, "lat": lat}},
    }


def make_map(auth_client: APIKeyAuthClient, name: str) -> NamedMap:
    """Store the template, in place of one of that name."""
    maps = NamedMapManager(auth_client)
    if maps.get_or_none(name) is not None:
        maps.build(name).delete()
    return maps.create(template=template_of(name))


def main() -> None:
    """Load, make the map, draw it, and say where it can be looked at."""
    parser = account.parser(__doc__)
    parser.add_argument("--name", default="world_airports", help="of dataset and map (default: %(default)s)")
    parser.add_argument("--output", default="airports.png", help="the picture (default: %(default)s)")
    parser.add_argument("--no-address", action="store_true", help="of the map's page; say nothing of it")
    arguments = parser.parse_args()

    auth_client = account.connect(arguments)
    print(f"{make_dataset(auth_client, arguments.name)} airports in the dataset {arguments.name}")
    named_map = make_map(auth_client, arguments.name)
    path = named_map.save_image(arguments.output, WIDTH, HEIGHT)
    print(f"A picture of the map: {path.resolve()}")
    if not arguments.no_address:
        print(f"The map in a browser: {auth_client.base_url}map/{named_map.template_id}")


if __name__ == "__main__":
    main()
