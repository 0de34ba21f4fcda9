"""Upload a report that a device's streamer wrote, and an event with the data that was recorded of it.

``IOTILE_DOMAIN``, ``IOTILE_EMAIL`` and ``IOTILE_PASSWORD`` name the server and the account; the arguments are
the report's file, the event's file (``*.json`` or ``*.json.gz``) and the stream of the event.
"""

from __future__ import annotations

import json
import os
import sys

from carto_like.iotile.api.connection import Api


def main() -> None:
    """Upload both, and read the event back."""
    report, recorded, stream = sys.argv[1:]
    api = Api(os.environ["IOTILE_DOMAIN"])
    if not api.login(email=os.environ["IOTILE_EMAIL"], password=os.environ["IOTILE_PASSWORD"]):
        raise SystemExit("The login failed.")

    told = api.streamer(action="report").upload_file(report, timestamp="2017-12-10T10:00:00Z")
    print(f"The report holds {told['count']} readings.")

    form = {
        "stream": stream,
        "timestamp": "2017-12-10T10:00:00Z",
        "encoded_extra_data": json.dumps({"foo": "bar"}),
    }
    event = api.event.upload.upload_file(recorded, data=form)
    print(f"The event of {event['timestamp']} has {event['encoded_extra_data']} and recorded:")
    print(api.event(event["id"]).data.get())
    api.logout()


if __name__ == "__main__":
    main()
