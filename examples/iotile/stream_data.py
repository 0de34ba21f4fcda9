"""Read a stream's data: the last readings, those of a period, raw points, and a class of your own.

``IOTILE_DOMAIN``, ``IOTILE_EMAIL`` and ``IOTILE_PASSWORD`` name the server and the account; the argument is a
stream.
"""

from __future__ import annotations

import argparse
import os

from carto_like.iotile.api.connection import Api
from carto_like.iotile.stream.data import StreamData, StreamRawData


class Extremes(StreamData):
    """Readings that know their extremes."""

    def lowest_and_highest(self) -> tuple[float, float]:
        """The lowest and the highest output value."""
        values = [reading["output_value"] for reading in self.data]
        return min(values), max(values)


def main() -> None:
    """Read the stream in four ways."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stream", help="slug, such as s--0000-0001--0000-0000-0000-0097--5001")
    slug = parser.parse_args().stream
    api = Api(os.environ["IOTILE_DOMAIN"])
    if not api.login(email=os.environ["IOTILE_EMAIL"], password=os.environ["IOTILE_PASSWORD"]):
        raise SystemExit("The login failed.")

    latest = StreamData(slug, api)
    latest.initialize_from_server(lastn=3)
    for reading in latest.data:
        print(reading["timestamp"], reading["output_value"])

    morning = StreamData(slug, api)
    morning.initialize_from_server(start="2017-01-10T10:00:00Z", end="2017-01-10T10:05:00Z", page_size=2)
    print(f"{len(morning.data)} readings in five minutes, two to a page")

    extremes = Extremes(slug, api)
    extremes.initialize_from_server()
    print("from {:.4f} to {:.4f}".format(*extremes.lowest_and_highest()))

    raw = StreamRawData(slug, api)
    raw.initialize_from_server(lastn=1)
    print(f"The device sent {raw.data[0]['int_value']}, which is {raw.data[0]['value']:.1f}.")
    api.logout()


if __name__ == "__main__":
    main()
