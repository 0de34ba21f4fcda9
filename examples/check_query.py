"""Run a query under EXPLAIN ANALYZE and say where its time goes.

python examples/check_query.py "select * from airports where country = 'PT'"
"""

from __future__ import annotations

import re

from carto_like.sql import SQLClient

import account

HINTS = {
    "Seq Scan": "a whole table is read: an index on the columns of the WHERE clause may help",
    "Nested Loop": "a join repeats its inner side for every outer row: an index on the join column may help",
    "external merge": "a sort did not fit in memory: sort fewer rows or fewer columns",
    "Rows Removed by Filter": "rows are read and thrown away: a more selective index may help",
}


def main() -> None:
    """Print the plan, the time it took, and what could make it faster."""
    parser = account.parser(__doc__)
    parser.add_argument("query", help="the query; it is really run")
    arguments = parser.parse_args()

    client = SQLClient(account.connect(arguments))
    answer = client.send(f"EXPLAIN ANALYZE {arguments.query}")
    plan = [row["QUERY PLAN"] for row in answer["rows"]]
    print("\n".join(plan))
    text = "\n".join(plan)
    if took := re.search(r"Execution Time: ([\d.]+) ms", text):
        print(f"\nIt ran for {float(took[1]):.1f} ms on the server.")
    for sign, hint in HINTS.items():
        if sign in text:
            print(f"Hint: {hint}.")


if __name__ == "__main__":
    main()
