"""Write the CREATE TABLE statements of all tables of the account.

python examples/export_create_tables.py tables.sql
"""

from __future__ import annotations

from pathlib import Path

from carto_like.sql import SQLClient

import account

FUNCTION = Path(__file__).with_name("generate_create_table_statement.sql")
TABLES = """
SELECT c.relname AS name, generate_create_table_statement(c.oid::regclass, c.relname) AS statement
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema() AND c.relkind = 'r'
ORDER BY c.relname
"""


def main() -> None:
    """Write one statement per table, in the order of their names."""
    parser = account.parser(__doc__)
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()

    client = SQLClient(account.connect(arguments))
    client.send(FUNCTION.read_text("utf-8"))
    try:
        rows = client.send(TABLES)["rows"]
    finally:
        client.send("DROP FUNCTION generate_create_table_statement(regclass, text)")
    arguments.file.write_text("".join(f"{row['statement']};\n\n" for row in rows), "utf-8")
    print(f"{len(rows)} tables described in {arguments.file}")


if __name__ == "__main__":
    main()
