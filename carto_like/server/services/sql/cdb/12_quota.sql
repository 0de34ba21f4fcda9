-- The platform's own record. The function in a user's schema only reads it: a schema's owner can drop and
-- replace whatever is in his schema, so nothing there may decide.
CREATE TABLE IF NOT EXISTS cartodb._CDB_Quotas (schema name PRIMARY KEY, quota_bytes bigint NOT NULL);

CREATE OR REPLACE FUNCTION cartodb._CDB_QuotaOf(schema name) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT q.quota_bytes FROM cartodb._CDB_Quotas q
      JOIN pg_namespace n ON n.nspname = q.schema
     WHERE q.schema = $1 AND has_schema_privilege(SESSION_USER, n.oid, 'USAGE');
$$;

CREATE OR REPLACE FUNCTION cartodb.CDB_SetUserQuotaInBytes(schema_name text, bytes bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    owner name;
BEGIN
    SELECT r.rolname INTO owner FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
     WHERE n.nspname = schema_name;
    IF owner IS NULL THEN
        RAISE EXCEPTION 'Invalid schema name "%"', schema_name;
    END IF;
    INSERT INTO cartodb._CDB_Quotas AS q (schema, quota_bytes) VALUES (schema_name, bytes)
    ON CONFLICT (schema) DO UPDATE SET quota_bytes = excluded.quota_bytes;
    EXECUTE format('GRANT SELECT ON cartodb.CDB_TableMetadata, cartodb.CDB_TableMetadata_Text TO %I', owner);
    IF NOT EXISTS (
        SELECT 1 FROM pg_proc WHERE proname = '_cdb_userquotainbytes' AND pronargs = 0
           AND pronamespace = schema_name::regnamespace::oid
    ) THEN
        EXECUTE format(
            'CREATE FUNCTION %I._CDB_UserQuotaInBytes() RETURNS bigint LANGUAGE sql STABLE RETURN '
            'cartodb._CDB_QuotaOf(%L::name)', schema_name, schema_name);
    END IF;
    RETURN bytes;
END
$$;

CREATE OR REPLACE FUNCTION cartodb.CDB_SetUserQuotaInBytes(bytes bigint) RETURNS bigint
LANGUAGE sql AS $$ SELECT cartodb.CDB_SetUserQuotaInBytes(cartodb._CDB_CallerSchema()::text, $1); $$;

REVOKE ALL ON FUNCTION cartodb.CDB_SetUserQuotaInBytes(text, bigint),
    cartodb.CDB_SetUserQuotaInBytes(bigint) FROM PUBLIC;

-- Vector tables count half, since half of one is what the platform adds: second geometry and indexes.
CREATE OR REPLACE FUNCTION cartodb.CDB_UserDataSize(schema_name text) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT COALESCE(sum(
        CASE WHEN EXISTS (
                SELECT 1 FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
                 WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND t.typname = 'raster')
             THEN pg_total_relation_size(c.oid) ELSE pg_total_relation_size(c.oid) / 2 END), 0)::bigint
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relkind IN ('r', 'm')
       AND c.relname !~ '^_vovw_[0-9]+_' AND c.relname !~ '^analysis_[0-9a-f]{10}_[0-9a-f]{40}$';
$$;

CREATE OR REPLACE FUNCTION cartodb.CDB_UserDataSize() RETURNS bigint
LANGUAGE sql STABLE AS $$ SELECT cartodb.CDB_UserDataSize(cartodb._CDB_CallerSchema()::text); $$;

-- Arguments: probability of a check, quota in bytes (negative: the schema's own), schema. Measuring needs a
-- lock on every table of the schema; a writer does not wait for one that somebody holds, the next one checks.
CREATE OR REPLACE FUNCTION cartodb.CDB_CheckQuota() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE
    schema_name text := COALESCE(TG_ARGV[2], TG_TABLE_SCHEMA);
    quota bigint := COALESCE(TG_ARGV[1], '-1')::bigint;
    excess bigint;
BEGIN
    IF random() >= COALESCE(TG_ARGV[0], '1')::float8 THEN
        RETURN NEW;
    END IF;
    IF quota < 0 THEN
        SELECT q.quota_bytes INTO quota FROM cartodb._CDB_Quotas q WHERE q.schema = schema_name;
    END IF;
    IF COALESCE(quota, 0) = 0 THEN
        RETURN NEW;
    END IF;
    BEGIN
        excess := cartodb.CDB_UserDataSize(schema_name) - quota;
    EXCEPTION WHEN lock_not_available THEN
        RETURN NEW;
    END;
    IF excess > 0 THEN
        RAISE EXCEPTION 'Quota exceeded by %KB', (excess + 1023) / 1024;
    END IF;
    RETURN NEW;
END
$$;
