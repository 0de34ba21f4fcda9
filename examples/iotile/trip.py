"""The story of a device's trip: whose it is, what happened on the way, and how hard.

``IOTILE_DOMAIN``, ``IOTILE_EMAIL`` and ``IOTILE_PASSWORD`` name the server and the account; the argument is a
device.
"""

from __future__ import annotations

import argparse
import os

from carto_like.iotile.api.connection import Api
from carto_like.iotile.api.exceptions import HttpNotFoundError
from carto_like.iotile.utils.gid import IOTileDeviceSlug


def main() -> None:
    """Print the events of the device, each with its largest amplitude."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("device", help="slug, such as d--0097")
    slug = IOTileDeviceSlug(parser.parse_args().device)
    api = Api(os.environ["IOTILE_DOMAIN"])
    if not api.login(email=os.environ["IOTILE_EMAIL"], password=os.environ["IOTILE_PASSWORD"]):
        raise SystemExit("The login failed.")
    device = api.device(slug).get()
    project = api.project(device["project"]).get()
    print(f"{device['label']} of project {project['name']} in {project['org']}")
    points = api.data.get(filter=device["slug"], page_size=1)["count"]
    print(f"{points} points were recorded.")
    for event in api.event.get(filter=device["slug"])["results"]:
        try:
            recorded = api.event(event["id"]).data.get()
        except HttpNotFoundError:
            print(f"{event['timestamp']}: nothing was recorded")
            continue
        peak = max(abs(value) for values in recorded.values() for value in values)
        print(f"{event['timestamp']}: peak {peak}, {event['extra_data']}")
    api.logout()


if __name__ == "__main__":
    main()
