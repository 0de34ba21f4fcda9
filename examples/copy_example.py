"""Stream a CSV file into a new dataset, stream it out into another file, and empty the dataset.

python examples/copy_example.py files/barrios.csv --table barrios --output back.csv
"""

from __future__ import annotations

import csv
from pathlib import Path

from carto_like.pure.pgtext import quote_identifier, quote_literal
from carto_like.sql import CopySQLClient, SQLClient

import account


def main() -> None:
    """Do the round trip and print the number of rows of each way."""
    parser = account.parser(__doc__)
    parser.add_argument("file", type=Path, help="CSV file with a header line")
    parser.add_argument(
        "--table", default="copy_example", help="table to make; must not exist (default: %(default)s)"
    )
    parser.add_argument("--output", type=Path, default=Path("copy_example_export.csv"))
    arguments = parser.parse_args()

    auth_client = account.connect(arguments)
    sql, copy = SQLClient(auth_client), CopySQLClient(auth_client)
    table = quote_identifier(arguments.table)
    with arguments.file.open(newline="", encoding="utf-8") as file:
        columns = [quote_identifier(name) for name in next(csv.reader(file))]
    names = ", ".join(columns)

    sql.send(f"CREATE TABLE {table} ({', '.join(name + ' text' for name in columns)})")
    sql.send(f"SELECT CDB_CartodbfyTable({quote_literal(table)}::regclass)")

    sent = copy.copyfrom_file_path(
        f"COPY {table} ({names}) FROM STDIN WITH (FORMAT csv, HEADER true)", arguments.file
    )
    print(f"{sent['total_rows']} rows in, {sent['time']} s")

    copy.copyto_file_path(
        f"COPY {table} ({names}) TO STDOUT WITH (FORMAT csv, HEADER true)", str(arguments.output)
    )
    with arguments.output.open(newline="", encoding="utf-8") as file:
        print(f"{sum(1 for _ in csv.reader(file)) - 1} rows out, in {arguments.output}")

    sql.send(f"TRUNCATE TABLE {table}")
    print(f"{arguments.table} is empty again")


if __name__ == "__main__":
    main()
