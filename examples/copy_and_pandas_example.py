"""Read the result of a query through COPY, with pandas where it is installed, else with the csv module.

python examples/copy_and_pandas_example.py "select country, count(*) from airports group by country"
"""

from __future__ import annotations

import csv
import importlib
import io
from importlib.util import find_spec

from carto_like.sql import CopySQLClient
from carto_like.utils import ResponseStream

import account


def show_with_pandas(stream: ResponseStream) -> None:
    """Read the stream into a data frame; pandas parses while the rows arrive."""
    frame = importlib.import_module("pandas").read_csv(stream)
    print(frame.head(10).to_string(index=False))
    print(f"{len(frame)} rows")


def show_with_csv(stream: ResponseStream) -> None:
    """Read the stream row by row; no more than a block of it is in memory."""
    rows = csv.reader(io.TextIOWrapper(io.BufferedReader(stream), encoding="utf-8", newline=""))
    count = -1
    for count, row in enumerate(rows):
        if count <= 10:
            print("\t".join(row))
    print(f"{max(count, 0)} rows")


def main() -> None:
    """Print the first rows of a query's result and how many there are."""
    parser = account.parser(__doc__)
    parser.add_argument("query", help="a SELECT")
    arguments = parser.parse_args()

    copy = CopySQLClient(account.connect(arguments))
    query = arguments.query.rstrip("; \n")
    stream = copy.copyto_stream(f"COPY ({query}) TO STDOUT WITH (FORMAT csv, HEADER true)")
    if find_spec("pandas"):
        show_with_pandas(stream)
    else:
        show_with_csv(stream)


if __name__ == "__main__":
    main()
