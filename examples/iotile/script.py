"""A script with a command line of its own: it logs in, does its work, and logs out whatever happens.

.. code-block:: console

   $ python script.py -u ana@example.org --stream s--0000-0077--0000-0000-0000-00d2--5001 --last 5

The password is asked for. ``IOTILE_DOMAIN`` names the server.
"""

from __future__ import annotations

import os
import sys

from carto_like.iotile.stream.data import StreamData
from carto_like.iotile.utils.main import BaseMain


class LastReadings(BaseMain):
    """Print the last readings of a stream."""

    def add_extra_args(self) -> None:
        """Which stream, and how many readings."""
        self.parser.add_argument("--stream", required=True, help="slug of the stream")
        self.parser.add_argument("--last", type=int, default=10, help="how many readings (default: 10)")

    def get_domain(self) -> str:
        """The server of the environment, else the hosted one."""
        return os.environ.get("IOTILE_DOMAIN", self.domain)

    def after_login(self) -> None:
        """The work itself."""
        stream = StreamData(self.args.stream, self.api)
        stream.initialize_from_server(lastn=self.args.last)
        for reading in stream.data:
            print(f"{reading['timestamp']}: {reading['output_value']:.4f}")


if __name__ == "__main__":
    sys.exit(LastReadings().main())
