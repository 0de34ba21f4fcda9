-- When each table was last written: the platform's caches and Last-Modified headers live on it.
CREATE TABLE IF NOT EXISTS cartodb.CDB_TableMetadata (
    tabname regclass PRIMARY KEY,
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- An account may read about its own tables; SELECT is granted when its quota is first set.
ALTER TABLE cartodb.CDB_TableMetadata ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_tables ON cartodb.CDB_TableMetadata;
CREATE POLICY own_tables ON cartodb.CDB_TableMetadata FOR SELECT
    USING (cartodb._CDB_Owns(tabname, CURRENT_USER));

CREATE OR REPLACE VIEW cartodb.CDB_TableMetadata_Text WITH (security_barrier) AS
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS tabname, m.updated_at
  FROM cartodb.CDB_TableMetadata m
  JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) m.tabname::oid
  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
 WHERE pg_catalog.pg_has_role(CURRENT_USER, c.relowner, 'USAGE');

-- A transaction of many statements writes its row once.
CREATE OR REPLACE FUNCTION cartodb._CDB_RecordUpdate(reloid regclass) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO cartodb.CDB_TableMetadata AS m (tabname, updated_at) VALUES (reloid, now())
    ON CONFLICT (tabname) DO UPDATE SET updated_at = excluded.updated_at
    WHERE m.updated_at IS DISTINCT FROM excluded.updated_at;
$$;
REVOKE ALL ON FUNCTION cartodb._CDB_RecordUpdate(regclass) FROM PUBLIC;

-- The login role counts, not the current one: inside a definer's function that is the definer.
CREATE OR REPLACE FUNCTION cartodb.CDB_TableMetadataTouch(tablename regclass) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_class WHERE oid = tablename) THEN
        RAISE undefined_table USING MESSAGE = format('relation "%s" does not exist', tablename);
    END IF;
    IF NOT cartodb._CDB_Owns(tablename, SESSION_USER) THEN
        RAISE insufficient_privilege USING MESSAGE = format('must be owner of table %s',
            (SELECT relname FROM pg_class WHERE oid = tablename));
    END IF;
    PERFORM cartodb._CDB_RecordUpdate(tablename);
END
$$;

-- Whoever may write the table moves its time; only who may make triggers on it can choose the table.
CREATE OR REPLACE FUNCTION cartodb._CDB_TableMetadata_Trigger() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM cartodb._CDB_RecordUpdate(TG_RELID);
    RETURN NULL;
END
$$;
