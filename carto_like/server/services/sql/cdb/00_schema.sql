-- The schema clients call CDB_* functions in. Everything below names what it uses by schema, or runs with a
-- fixed search_path, because callers may put functions and operators of their own in front of ours.
CREATE SCHEMA IF NOT EXISTS cartodb;
REVOKE ALL ON SCHEMA cartodb FROM PUBLIC;
GRANT USAGE ON SCHEMA cartodb TO PUBLIC;

CREATE OR REPLACE FUNCTION cartodb.cdb_version() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '0.37.1'::text;

-- The schema a call without a schema means: the one the caller owns, else the one he works in.
CREATE OR REPLACE FUNCTION cartodb._CDB_CallerSchema() RETURNS name
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (
    SELECT COALESCE(
        (SELECT n.nspname FROM pg_catalog.pg_namespace n
          WHERE n.nspowner OPERATOR(pg_catalog.=) (
                SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) CURRENT_USER)
            AND NOT pg_catalog.starts_with(n.nspname::text, 'pg_')
            AND n.nspname OPERATOR(pg_catalog.<>) ALL ('{cartodb,carto_like,information_schema}'::name[])
          ORDER BY n.nspname OPERATOR(pg_catalog.=) pg_catalog.current_schema() DESC, n.nspname
          LIMIT 1),
        pg_catalog.current_schema())
);

CREATE OR REPLACE FUNCTION cartodb._CDB_Owns(reloid oid, who name) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN EXISTS (
    SELECT 1 FROM pg_catalog.pg_class c
     WHERE c.oid OPERATOR(pg_catalog.=) reloid AND pg_catalog.pg_has_role(who, c.relowner, 'USAGE'));
