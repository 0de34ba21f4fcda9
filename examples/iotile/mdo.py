"""Convert what a device sends into units, as the server does it, by the factors of stream and units.

``IOTILE_DOMAIN``, ``IOTILE_EMAIL`` and ``IOTILE_PASSWORD`` name the server and the account; the argument is a
stream.
"""

from __future__ import annotations

import argparse
import os

from carto_like.iotile.api.connection import Api
from carto_like.iotile.utils.mdo import MdoHelper


def main() -> None:
    """Convert the last point of the stream, and compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stream", help="slug, such as s--0000-0001--0000-0000-0000-0097--5001")
    slug = parser.parse_args().stream
    api = Api(os.environ["IOTILE_DOMAIN"])
    if not api.login(email=os.environ["IOTILE_EMAIL"], password=os.environ["IOTILE_PASSWORD"]):
        raise SystemExit("The login failed.")
    stream = api.stream(slug).get()
    own = MdoHelper(stream["multiplication_factor"], stream["division_factor"], stream["offset"])
    if stream["input_unit"] is None or stream["output_unit"] is None:
        raise SystemExit(f"{slug} has no units; its variable has no type.")
    taken = MdoHelper(*(stream["input_unit"][name] for name in "mdo"))
    shown = MdoHelper(*(stream["output_unit"][name] for name in "mdo"))

    (point,) = api.data.get(filter=slug, lastn=1)["results"]
    value = taken.compute(own.compute_value(point["int_value"]))
    print(f"{point['int_value']} from the device is {value:.1f}; the server says {point['value']:.1f}.")
    unit = stream["output_unit"]["unit_short"]
    print(
        f"That is {shown.compute_value(value):.5f} {unit}, and back again {shown.compute_reverse(0.03):.1f}."
    )
    api.logout()


if __name__ == "__main__":
    main()
