"""Copy a table from one account to another, without a file in between.

    python examples/duplicate_table.py airports accounts.ini

The configuration names the two accounts; keep it readable by yourself only (``chmod 600``):

    [source]
    base_url = https://platform.example/user/ana/
    api_key = ...
    [target]
    base_url = https://platform.example/user/bob/
    api_key = ...
"""

from __future__ import annotations

import argparse
import configparser
import sys
from pathlib import Path

from carto_like.auth import APIKeyAuthClient
from carto_like.pure.pgtext import quote_identifier, quote_literal
from carto_like.sql import CopySQLClient, SQLClient

FUNCTION = Path(__file__).with_name("generate_create_table_statement.sql")


def log_in(config: configparser.ConfigParser, section: str) -> APIKeyAuthClient:
    """Log in to one of the two accounts of the configuration."""
    if section not in config:
        sys.exit(f"The configuration has no section [{section}].")
    return APIKeyAuthClient(config[section]["base_url"], config[section]["api_key"])


def create_statement(source: SQLClient, table: str, name: str) -> str:
    """Ask the source for the statement that makes the table; the helper function is removed again."""
    source.send(FUNCTION.read_text("utf-8"))
    try:
        regclass = quote_literal(quote_identifier(table))
        call = f"generate_create_table_statement({regclass}::regclass, {quote_literal(name)})"
        return str(source.send(f"SELECT {call} AS statement")["rows"][0]["statement"])
    finally:
        source.send("DROP FUNCTION generate_create_table_statement(regclass, text)")


def exists(target: SQLClient, name: str) -> bool:
    """Whether the account already has a table of that name."""
    query = f"SELECT to_regclass({quote_literal(quote_identifier(name))}) IS NOT NULL AS found"
    return bool(target.send(query)["rows"][0]["found"])


def main() -> None:
    """Make the table if it is not there, then pipe COPY out of one account into COPY of the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("table")
    parser.add_argument("config", type=Path)
    parser.add_argument("--target_table", help="name in the other account (default: the same)")
    arguments = parser.parse_args()
    name = arguments.target_table or arguments.table
    config = configparser.ConfigParser()
    config.read_string(arguments.config.read_text("utf-8"))
    source, target = log_in(config, "source"), log_in(config, "target")

    if not exists(SQLClient(target), name):
        SQLClient(target).send(create_statement(SQLClient(source), arguments.table, name))
        print(f"Made table {name}.")
    rows = CopySQLClient(source).copyto(f"COPY {quote_identifier(arguments.table)} TO STDOUT")
    result = CopySQLClient(target).copyfrom(f"COPY {quote_identifier(name)} FROM STDIN", rows)
    print(f"{result['total_rows']} rows copied to {name}")


if __name__ == "__main__":
    main()
