"""Filter lists, follow what belongs to what, and page through a long one.

``IOTILE_DOMAIN``, ``IOTILE_EMAIL`` and ``IOTILE_PASSWORD`` name the server and the account; the argument is
the slug of an organization.
"""

from __future__ import annotations

import argparse
import os

from carto_like.iotile.api.connection import Api
from carto_like.iotile.client import IOTileClient
from carto_like.iotile.devices import DeviceManager


def main() -> None:
    """List the projects of an organization, two ways, and the devices of each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("organization", help="slug, such as farm")
    slug = parser.parse_args().organization
    api = Api(os.environ["IOTILE_DOMAIN"])
    if not api.login(email=os.environ["IOTILE_EMAIL"], password=os.environ["IOTILE_PASSWORD"]):
        raise SystemExit("The login failed.")

    filtered = api.project.get(org__slug=slug)
    nested = api.org(slug).projects.get()
    print(f"{filtered['count']} projects by a filter, {nested['count']} below the organization.")
    for project in nested["results"]:
        devices = api.device.get(project=project["id"], page_size=10)
        print(f"{project['slug']} {project['name']}: {devices['count']} devices")

    # Page by page, without counting pages: each names the next.
    with IOTileClient(os.environ["IOTILE_DOMAIN"], token=api.token) as client:
        labels = [str(device.label) for device in DeviceManager(client).iterate(org__slug=slug, page_size=1)]
    print(f"All devices: {', '.join(labels)}")
    api.logout()


if __name__ == "__main__":
    main()
