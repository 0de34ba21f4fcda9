"""The queue's tables: procrastinate's own, in a schema of their own, brought up to date with ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from procrastinate.schema import SchemaManager

from carto_like.server.pool import Connection

SCHEMA = "carto_like_jobs"
NUDGES = "carto_like_jobs"
"""The channel on which workers are told that something may have changed."""

_FOUNDATION = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE TABLE IF NOT EXISTS {SCHEMA}.migrations (
    name text PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
);
"""

# procrastinate tells workers of new jobs only. The next one of an account can begin when the one before it is
# gone, and one that is put back at once: without these, both would wait for the next regular look.
_NUDGING = f"""
CREATE OR REPLACE FUNCTION carto_like_nudge() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_catalog.pg_notify('{NUDGES}', ''); RETURN NULL; END $$;
CREATE OR REPLACE TRIGGER carto_like_ended AFTER DELETE ON procrastinate_jobs
    FOR EACH STATEMENT EXECUTE FUNCTION carto_like_nudge();
CREATE OR REPLACE TRIGGER carto_like_put_back AFTER UPDATE OF status ON procrastinate_jobs
    FOR EACH ROW WHEN (NEW.status = 'todo') EXECUTE FUNCTION carto_like_nudge();
"""


async def install(connection: Connection) -> None:
    """Bring the queue's tables to the state that the installed procrastinate needs.

    Args:
        connection: in a transaction that keeps other servers from doing the same.
    """
    await connection.execute(_FOUNDATION.encode())
    async with in_schema(connection):
        cursor = await connection.execute("SELECT name FROM migrations")
        applied = {row[0] for row in await cursor.fetchall()}
        files = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
        missing = [file for file in files if file.name not in applied]
        # The whole schema is what all migrations up to now come to.
        scripts = [file.read_text("utf-8") for file in missing] if applied else [SchemaManager.get_schema()]
        for script in scripts:
            await connection.execute(script.encode())
        for file in missing:
            await connection.execute("INSERT INTO migrations (name) VALUES (%s)", (file.name,))
        await connection.execute(_NUDGING.encode())


@asynccontextmanager
async def in_schema(connection: Connection) -> AsyncIterator[None]:
    """Let names without a schema mean the queue's, while the block runs in the present transaction."""
    cursor = await connection.execute("SELECT pg_catalog.current_setting('search_path')")
    row = await cursor.fetchone()
    await _set_path(connection, SCHEMA)
    yield
    # After an error the transaction, or the savepoint around the block, takes the setting back itself.
    await _set_path(connection, row[0] if row else "")


async def _set_path(connection: Connection, path: str) -> None:
    await connection.execute("SELECT pg_catalog.set_config('search_path', %s, true)", (path,))
