-- Tables by who may read them. Another account's public tables are readable by publicuser too; without
-- the right to enter their schema they are not the caller's to see.
CREATE OR REPLACE FUNCTION cartodb.CDB_UserTables(perm text DEFAULT 'all') RETURNS SETOF name
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.relname
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
           LATERAL (SELECT has_table_privilege('publicuser', c.oid, 'SELECT') AS public,
                           has_table_privilege(c.oid, 'SELECT') AS own) can
     WHERE c.relkind = 'r'
       AND n.nspname NOT IN ('cartodb', 'carto_like', 'information_schema') AND n.nspname !~ '^pg_'
       AND c.relname NOT IN ('cdb_tablemetadata', 'cdb_analysis_catalog', 'cdb_conf', 'spatial_ref_sys')
       AND has_schema_privilege(n.oid, 'USAGE')
       AND CASE perm
               WHEN 'public' THEN can.public
               WHEN 'private' THEN can.own AND NOT can.public
               WHEN 'all' THEN can.own OR can.public
               ELSE false
           END;
$$;

CREATE OR REPLACE FUNCTION cartodb.CDB_ColumnNames(tablename regclass) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT attname::text FROM pg_attribute
     WHERE attrelid = tablename AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
$$;

CREATE OR REPLACE FUNCTION cartodb.CDB_ColumnType(tablename regclass, columnname text) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, @postgis@, pg_temp AS $$
    SELECT format_type(atttypid, NULL) FROM pg_attribute
     WHERE attrelid = tablename AND attname = columnname AND attnum > 0 AND NOT attisdropped;
$$;

CREATE OR REPLACE FUNCTION cartodb.CDB_TableIndexes(tablename regclass)
RETURNS TABLE (index_name name, index_unique boolean, index_primary boolean, index_keys text[])
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.relname, i.indisunique, i.indisprimary,
           ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, true) FROM generate_series(1, i.indnkeyatts) k ORDER BY k)
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
      JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
     WHERE i.indrelid = tablename AND t.relkind IN ('r', 'm', 'p')
       AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
     ORDER BY c.relname;
$$;

-- Places to look for rows, spread over the whole file. A place may be empty. Declared STABLE, since
-- only then does ctid = ANY (...) fetch those places instead of asking again for each row.
CREATE OR REPLACE FUNCTION cartodb.CDB_RandomTids(tablename regclass, nsamples int) RETURNS tid[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH file AS (
        SELECT s.pages, greatest(1, least(290, CASE
                   WHEN c.relpages > 0 AND c.reltuples > 0 THEN ceil(c.reltuples / c.relpages) ELSE 50 END))::int AS filled
          FROM pg_class c, LATERAL (
               SELECT pg_relation_size(c.oid) / current_setting('block_size')::int AS pages) s
         WHERE c.oid = tablename AND s.pages > 0)
    SELECT COALESCE(array_agg(DISTINCT format('(%s,%s)', page, line)::tid), '{}')
      FROM (SELECT floor((i + random()) * pages / nsamples)::bigint AS page,
                   1 + floor(random() * filled)::int AS line
              FROM file, generate_series(0, nsamples - 1) i) places;
$$;

-- Tables register themselves here, so there is nothing to be asked for.
CREATE OR REPLACE FUNCTION cartodb.CDB_LinkGhostTables(event_name text DEFAULT 'USER') RETURNS void
LANGUAGE plpgsql AS $$ BEGIN END $$;
