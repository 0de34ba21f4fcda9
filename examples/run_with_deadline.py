"""Run a query, and stop it on the server when it takes longer than you want to wait.

    python examples/run_with_deadline.py "select pg_sleep(60)" --seconds 2

The sessions of the database cannot be seen or signalled through SQL. They need not be: a query ends when the
client that asked for it leaves, and a timeout is a way to leave.
"""

from __future__ import annotations

import sys
import time

from carto_like.exceptions import CartoTimeoutException
from carto_like.sql import SQLClient

import account


def main() -> None:
    """Print the number of rows, or say that the query was stopped."""
    parser = account.parser(__doc__)
    parser.add_argument("query")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to wait for the next bytes")
    arguments = parser.parse_args()

    client = SQLClient(account.connect(arguments))
    started = time.monotonic()
    try:
        answer = client.send(arguments.query, timeout=arguments.seconds)
    except CartoTimeoutException:
        sys.exit(f"Stopped after {time.monotonic() - started:.1f} s.")
    print(f"{answer['total_rows']} rows in {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
