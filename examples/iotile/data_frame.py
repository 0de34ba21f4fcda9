"""Readings as tables: the server's CSV, and a data frame of this package.

``IOTILE_DOMAIN``, ``IOTILE_EMAIL`` and ``IOTILE_PASSWORD`` name the server and the account; the argument is a
stream. It needs the extra ``frames``.
"""

from __future__ import annotations

import argparse
import io
import os

import pandas

from carto_like.iotile.api.connection import Api
from carto_like.iotile.client import IOTileClient
from carto_like.iotile.streams import StreamManager


def main() -> None:
    """Read the stream twice."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stream", help="slug, such as s--0000-0001--0000-0000-0000-0097--5001")
    slug = parser.parse_args().stream
    api = Api(os.environ["IOTILE_DOMAIN"])
    if not api.login(email=os.environ["IOTILE_EMAIL"], password=os.environ["IOTILE_PASSWORD"]):
        raise SystemExit("The login failed.")
    table = api.df.get(filter=slug, format="csv")
    frame = pandas.read_csv(io.BytesIO(table), parse_dates=["row"], index_col="row")
    print(f"{len(frame)} rows of CSV, mean {frame['value'].mean():.1f}")

    with IOTileClient(os.environ["IOTILE_DOMAIN"], token=api.token) as client:
        readings = StreamManager(client).get(slug).readings(start="2017-01-01").to_pandas()
    print(f"{len(readings)} readings, mean {readings['value'].mean():.1f}")
    api.logout()


if __name__ == "__main__":
    main()
