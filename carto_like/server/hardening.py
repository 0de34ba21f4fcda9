"""Taking from PUBLIC what lets one login look at or disturb another's sessions.

PostgreSQL is made for colleagues: by default everybody may see who is connected and doing what, store large
objects nobody owns a quota for, and end sessions of his own role; PostGIS tells everybody where the rows of
any table lie. Here one role is shared by all anonymous
visitors of an account. Only a superuser can change these rights, so a private cluster is hardened when it
starts, and the operator of an existing one is told what to run.

What stays: ``LISTEN`` and ``NOTIFY``. Channels are shared by the whole database, but no answer ever carries
a notification, and the listening ends with the request. So do advisory locks.
"""

from __future__ import annotations

from typing import Any

from psycopg import Connection, sql

_FUNCTIONS = """
SELECT p.oid::regprocedure::text
FROM pg_catalog.pg_proc p
WHERE p.pronamespace = 'pg_catalog'::regnamespace
  AND (p.proname ~ '^pg_stat_get_' OR p.proname ~ '^lo_' OR p.proname = ANY ('{pg_terminate_backend,
       pg_cancel_backend,loread,lowrite,pg_lock_status,pg_blocking_pids,pg_safe_snapshot_blocking_pids,
       pg_prepared_xact,pg_logical_emit_message,pg_get_shmem_allocations,pg_log_backend_memory_contexts}'))
  AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
              WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE')
ORDER BY 1
"""

# PostGIS tells the statistics of any table to anybody who knows its name, whoever may read it.
_ESTIMATES = """
SELECT p.oid::regprocedure::text
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid
JOIN pg_catalog.pg_extension e ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid
WHERE e.extname = 'postgis'
  AND p.proname = ANY ('{st_estimatedextent,_postgis_stats,_postgis_selectivity,_postgis_join_selectivity,
                         _postgis_index_extent}')
  AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
              WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE')
ORDER BY 1
"""

_VIEWS = """
SELECT c.oid::regclass::text
FROM pg_catalog.pg_class c
WHERE c.relkind IN ('v', 'f') AND c.relname ~ '^(pg_stat_statements|pg_stat_activity|pg_locks)'
  AND EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee = 0 AND a.privilege_type = 'SELECT')
ORDER BY 1
"""

_STATEMENTS_FUNCTIONS = """
SELECT p.oid::regprocedure::text
FROM pg_catalog.pg_proc p
WHERE p.proname ~ '^pg_stat_statements'
  AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
              WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE')
ORDER BY 1
"""

_PUBLIC_CREATE = """
SELECT FROM pg_catalog.pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
WHERE n.nspname = 'public' AND a.grantee = 0 AND a.privilege_type = 'CREATE'
"""


def hardening_statements(connection: Connection[Any], platform_role: str) -> list[str]:
    """The statements a superuser must run here, in this database; none when all is well.

    Args:
        connection: any role's connection to the database.
        platform_role: who keeps the rights, since the platform ends sessions and measures tables.
    """
    role = sql.Identifier(platform_role).as_string()
    statements = []
    queries = (_FUNCTIONS, _STATEMENTS_FUNCTIONS, _ESTIMATES)
    for name in [row[0] for query in queries for row in connection.execute(query)]:
        statements.append(f"GRANT EXECUTE ON FUNCTION {name} TO {role}")
        statements.append(f"REVOKE EXECUTE ON FUNCTION {name} FROM PUBLIC")
    for (name,) in connection.execute(_VIEWS).fetchall():
        statements.append(f"GRANT SELECT ON {name} TO {role}")
        statements.append(f"REVOKE ALL ON {name} FROM PUBLIC")
    if connection.execute(_PUBLIC_CREATE).fetchone() is not None:
        statements.append("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    return statements


def harden(connection: Connection[Any], platform_role: str) -> None:
    """Run :func:`hardening_statements`; the connection must be a superuser's."""
    for statement in hardening_statements(connection, platform_role):
        connection.execute(statement.encode())
