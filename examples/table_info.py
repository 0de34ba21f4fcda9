"""Say what there is to know about the tables behind the datasets: columns, indexes, triggers, size, privacy.

python examples/table_info.py airports
"""

from __future__ import annotations

from carto_like.datasets import DatasetManager
from carto_like.pure.pgtext import quote_identifier, quote_literal
from carto_like.sql import SQLClient

import account

COLUMNS = """
SELECT a.attname AS name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type
FROM pg_catalog.pg_attribute a WHERE a.attrelid = {table}::regclass AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""
INDEXES = """
SELECT i.indexrelid::regclass::text AS name, pg_catalog.pg_get_indexdef(i.indexrelid) AS definition
FROM pg_catalog.pg_index i WHERE i.indrelid = {table}::regclass ORDER BY 1
"""
TRIGGERS = """
SELECT t.tgname AS name, p.proname AS function
FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
WHERE t.tgrelid = {table}::regclass AND NOT t.tgisinternal ORDER BY 1
"""


def show(client: SQLClient, title: str, query: str, table: str) -> None:
    """Print the rows of one question about the table."""
    print(f"  {title}:")
    for row in client.send(query.format(table=quote_literal(quote_identifier(table))))["rows"]:
        print("    " + "  ".join(str(value) for value in row.values()))


def main() -> None:
    """Print a chapter for the dataset named, or for each one."""
    parser = account.parser(__doc__)
    parser.add_argument("dataset", nargs="?", help="name of a dataset (default: all)")
    arguments = parser.parse_args()

    auth_client = account.connect(arguments)
    client = SQLClient(auth_client)
    for dataset in DatasetManager(auth_client).all():
        name = dataset.name or ""
        if arguments.dataset not in (None, name):
            continue
        owner = dataset.permission.owner if dataset.permission else None
        print(f"{name} ({dataset.privacy}), owner {owner.username if owner else 'unknown'}")
        if dataset.table:
            print(f"  {dataset.table.row_count} rows, {dataset.table.size} bytes")
        show(client, "columns", COLUMNS, name)
        show(client, "indexes", INDEXES, name)
        show(client, "triggers", TRIGGERS, name)


if __name__ == "__main__":
    main()
