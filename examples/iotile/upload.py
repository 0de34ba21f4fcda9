"""Upload a report that a device's streamer wrote, and an event with the data that was recorded of it.

``IOTILE_DOMAIN``, ``IOTILE_EMAIL`` and ``IOTILE_PASSWORD`` name the server and the account; the arguments are
the report's file, the event's file (``*.json`` or ``*.json.gz``) and the stream of the event.
"""

from __future__ import annotations

import argparse
import json
import os

from carto_like.iotile.api.connection import Api


def main() -> None:
    """Upload both, and read the event back."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("report", help="file of the device")
    parser.add_argument("event", help="file, *.json or *.json.gz")
    parser.add_argument("stream", help="slug of the event's stream")
    arguments = parser.parse_args()
    api = Api(os.environ["IOTILE_DOMAIN"])
    if not api.login(email=os.environ["IOTILE_EMAIL"], password=os.environ["IOTILE_PASSWORD"]):
        raise SystemExit("The login failed.")

    told = api.streamer(action="report").upload_file(arguments.report, timestamp="2017-12-10T10:00:00Z")
    print(f"The report holds {told['count']} readings.")

    form = {
        "stream": arguments.stream,
        "timestamp": "2017-12-10T10:00:00Z",
        "encoded_extra_data": json.dumps({"foo": "bar"}),
    }
    event = api.event.upload.upload_file(arguments.event, data=form)
    print(f"The event of {event['timestamp']} has {event['encoded_extra_data']} and recorded:")
    print(api.event(event["id"]).data.get())
    api.logout()


if __name__ == "__main__":
    main()
