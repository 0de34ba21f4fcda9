-- The table and the schema must allow it: both are the caller's, and the schema has a quota.
CREATE OR REPLACE FUNCTION cartodb._CDB_CheckCartodbfy(schema_name text, reloid regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel record;
BEGIN
    IF schema_name IS NULL OR NOT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = schema_name) THEN
        RAISE EXCEPTION 'Invalid schema name "%"', schema_name;
    END IF;
    IF NOT EXISTS (SELECT 1 FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
                    WHERE n.nspname = schema_name AND p.proname = '_cdb_userquotainbytes' AND p.pronargs = 0) THEN
        RAISE EXCEPTION 'Please set user quota before cartodbfying tables.';
    END IF;
    SELECT relname, relkind, relpersistence INTO rel FROM pg_class WHERE oid = reloid;
    IF NOT FOUND THEN
        RAISE undefined_table USING MESSAGE = format('relation "%s" does not exist', reloid);
    ELSIF NOT cartodb._CDB_Owns(reloid, CURRENT_USER) THEN
        RAISE insufficient_privilege USING MESSAGE = 'must be owner of table ' || rel.relname;
    ELSIF rel.relkind <> 'r' OR rel.relpersistence = 't' THEN
        RAISE wrong_object_type USING MESSAGE = format('"%s" is not a table that can be a dataset', rel.relname);
    END IF;
END
$$;

-- Whether key and geometries are as a dataset's must be, so that no copy is needed.
CREATE OR REPLACE FUNCTION cartodb._CDB_IsComplete(reloid regclass) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT cartodb._CDB_KeyHasSequence(reloid)
       AND EXISTS (SELECT 1 FROM cartodb._CDB_GeometryColumns(reloid) WHERE name = 'the_geom' AND srid = 4326)
       AND EXISTS (SELECT 1 FROM cartodb._CDB_GeometryColumns(reloid)
                    WHERE name = 'the_geom_webmercator' AND srid = 3857);
$$;

-- Raster tables only get a key, tracking and quota checks.
CREATE OR REPLACE FUNCTION cartodb._CDB_CartodbfyRaster(schema_name text, reloid regclass) RETURNS regclass
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = reloid AND attname = 'cartodb_id') THEN
        EXECUTE format('ALTER TABLE %s ADD COLUMN cartodb_id serial UNIQUE', reloid);
    END IF;
    PERFORM cartodb._CDB_AddTriggers(schema_name, reloid, true);
    RETURN reloid;
END
$$;

-- Makes a table a dataset of the schema and returns it under its final identity.
CREATE OR REPLACE FUNCTION cartodb.CDB_CartodbfyTable(destschema text, reloid regclass) RETURNS regclass
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    has_key boolean;
BEGIN
    PERFORM cartodb._CDB_CheckCartodbfy(destschema, reloid);
    PERFORM cartodb._CDB_DropTriggers(reloid);
    IF EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = reloid AND attname = 'the_raster_webmercator') THEN
        RETURN cartodb._CDB_CartodbfyRaster(destschema, reloid);
    END IF;
    has_key := cartodb._CDB_PrepareKey(reloid);
    PERFORM cartodb._CDB_ClearGeometryName(reloid, 'the_geom', 4326);
    PERFORM cartodb._CDB_ClearGeometryName(reloid, 'the_geom_webmercator', 3857);
    PERFORM cartodb._CDB_NameGeometry(reloid, 'the_geom', 4326);
    PERFORM cartodb._CDB_NameGeometry(reloid, 'the_geom_webmercator', 3857);
    IF NOT cartodb._CDB_IsComplete(reloid) THEN
        reloid := cartodb._CDB_Rewrite(destschema, reloid, has_key);
    ELSIF (SELECT relnamespace FROM pg_class WHERE oid = reloid) <> destschema::regnamespace::oid THEN
        EXECUTE format('ALTER TABLE %s SET SCHEMA %I', reloid, destschema);
    END IF;
    PERFORM cartodb._CDB_AddIndexes(reloid);
    PERFORM cartodb._CDB_AddTriggers(destschema, reloid);
    RETURN reloid;
END
$$;

CREATE OR REPLACE FUNCTION cartodb.CDB_CartodbfyTable(reloid regclass) RETURNS regclass
LANGUAGE sql AS $$ SELECT cartodb.CDB_CartodbfyTable(cartodb._CDB_CallerSchema()::text, $1); $$;
