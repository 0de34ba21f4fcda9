"""Show the tables of the account as a bar chart of their sizes; datasets carry a star.

python examples/list_tables.py
"""

from __future__ import annotations

from carto_like.sql import SQLClient

import account

TABLES = """
SELECT c.relname AS name, pg_total_relation_size(c.oid) AS bytes,
       EXISTS (
           SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'test_quota'
       ) AS dataset
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema() AND c.relkind = 'r'
ORDER BY 2 DESC, 1
"""
WIDTH = 40


def main() -> None:
    """Print a bar for each table; the longest one is the largest table."""
    arguments = account.parser(__doc__).parse_args()
    rows = SQLClient(account.connect(arguments)).send(TABLES)["rows"]
    largest = max((row["bytes"] for row in rows), default=0) or 1
    margin = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        bar = "#" * max(1, round(WIDTH * row["bytes"] / largest))
        star = "*" if row["dataset"] else " "
        print(f"{row['name']:>{margin}} {star} {bar} {row['bytes'] / 2**20:.2f} MB")
    print(f"{len(rows)} tables, {sum(row['dataset'] for row in rows)} of them datasets (*)")


if __name__ == "__main__":
    main()
