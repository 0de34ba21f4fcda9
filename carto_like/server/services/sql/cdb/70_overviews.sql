-- Overview tables are found by name alone: _vovw_<zoom>_<table>, in the table's own schema.
CREATE OR REPLACE FUNCTION cartodb.CDB_Overviews(relations regclass[])
RETURNS TABLE (base_table regclass, z integer, overview_table regclass)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT b.oid::regclass, substring(o.relname FROM '^_vovw_([0-9]{1,4})_')::integer, o.oid::regclass
      FROM pg_class b JOIN pg_class o ON o.relnamespace = b.relnamespace AND o.relkind = 'r'
       AND o.relname ~ '^_vovw_[0-9]{1,4}_' AND regexp_replace(o.relname, '^_vovw_[0-9]{1,4}_', '') = b.relname
     WHERE b.oid = ANY (relations::oid[])
     ORDER BY 1, 2;
$$;

CREATE OR REPLACE FUNCTION cartodb.CDB_Overviews(relation regclass)
RETURNS TABLE (base_table regclass, z integer, overview_table regclass)
LANGUAGE sql STABLE AS $$ SELECT * FROM cartodb.CDB_Overviews(ARRAY[$1]); $$;

CREATE OR REPLACE FUNCTION cartodb.CDB_DropOverviews(relation regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    overview regclass;
BEGIN
    FOR overview IN SELECT o.overview_table FROM cartodb.CDB_Overviews(relation) o LOOP
        EXECUTE format('DROP TABLE %s', overview);
    END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION cartodb.CDB_CreateOverviews(
    reloid regclass, refscale_strategy regproc DEFAULT NULL, reduce_strategy regproc DEFAULT NULL)
RETURNS text[]
LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'Creating overviews is deprecated'; END $$;

CREATE OR REPLACE FUNCTION cartodb.CDB_CreateOverviewsWithToleranceInPixels(
    reloid regclass, tolerance_px float8 DEFAULT NULL, refscale_strategy regproc DEFAULT NULL,
    reduce_strategy regproc DEFAULT NULL)
RETURNS text[]
LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'Creating overviews is deprecated'; END $$;
