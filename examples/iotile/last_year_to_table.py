"""Copy the last year of a project's streams into a table with the positions of the devices.

The platform of the sensors is named by ``IOTILE_DOMAIN`` and ``IOTILE_TOKEN`` (a permanent key), the
account that gets the table by ``CARTO_API_URL`` and ``CARTO_API_KEY``.
"""

from __future__ import annotations

import argparse
import os
from datetime import datetime, timedelta, timezone
from itertools import islice

from carto_like.auth import APIKeyAuthClient
from carto_like.iotile.client import IOTileClient
from carto_like.iotile.rows import READING_COLUMNS, reading_rows
from carto_like.iotile.streams import StreamManager
from carto_like.pure.pgtext import quote_identifier
from carto_like.sql import CopySQLClient, SQLClient

COLUMNS = "stream text, device text, recorded_at timestamptz, value float8, the_geom geometry(Point, 4326)"


def main() -> None:
    """Copy, and say how much arrived."""
    parser = argparse.ArgumentParser(description="Copy the last year of a project's streams into a table.")
    parser.add_argument("project", help="slug of the project, such as p--0000-0001")
    parser.add_argument("--streams", type=int, default=50, help="how many at most (default: 50)")
    parser.add_argument("--table", default="readings", help="name of the new table (default: readings)")
    arguments = parser.parse_args()

    auth_client = APIKeyAuthClient(os.environ["CARTO_API_URL"], os.environ["CARTO_API_KEY"])
    since = datetime.now(timezone.utc) - timedelta(days=365)
    with IOTileClient(
        os.environ["IOTILE_DOMAIN"], token=os.environ["IOTILE_TOKEN"], token_type="token"
    ) as client:
        # Before the table is made, so that a wrong token or project leaves none behind.
        streams = list(islice(StreamManager(client).iterate(project=arguments.project), arguments.streams))
        if not streams:
            raise SystemExit(f"{arguments.project} has no streams, or the account does not see them.")
        SQLClient(auth_client).send(f"CREATE TABLE {quote_identifier(arguments.table)} ({COLUMNS})")
        rows = reading_rows(client, streams, start=since)
        copied = CopySQLClient(auth_client).copyfrom_rows(arguments.table, rows, READING_COLUMNS)
    print(f"{copied['total_rows']} readings are in {arguments.table}")


if __name__ == "__main__":
    main()
