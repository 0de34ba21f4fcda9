"""Make the slug of a stream from its parts, and take it apart again; needs no server."""

from __future__ import annotations

from carto_like.iotile.utils.gid import IOTileDeviceSlug, IOTileProjectSlug, IOTileStreamSlug


def main() -> None:
    """Print slugs."""
    project, device = IOTileProjectSlug(5), IOTileDeviceSlug("0x0a")
    stream = IOTileStreamSlug()
    stream.from_parts(project=project, device=device, variable="5001")
    print(f"{project} and {device} make {stream}")
    for name, slug in stream.get_parts().items():
        print(f"{name}: {slug}")
    print(f"The device is number {device.get_id()}.")


if __name__ == "__main__":
    main()
