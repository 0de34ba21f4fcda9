-- The primary key on cartodb_id, and an index on each geometry that has none.
CREATE OR REPLACE FUNCTION cartodb._CDB_AddIndexes(reloid regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    key name;
    geometry_column name;
BEGIN
    IF cartodb._CDB_IntegerKey(reloid) IS DISTINCT FROM 'cartodb_id' THEN
        SELECT conname INTO key FROM pg_constraint WHERE conrelid = reloid AND contype = 'p';
        IF FOUND THEN
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', reloid, key);
        END IF;
        EXECUTE format('ALTER TABLE %s ADD PRIMARY KEY (cartodb_id)', reloid);
    END IF;
    FOREACH geometry_column IN ARRAY '{the_geom,the_geom_webmercator}'::name[] LOOP
        IF NOT EXISTS (
            SELECT 1 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am am ON am.oid = c.relam
              JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
             WHERE i.indrelid = reloid AND am.amname = 'gist' AND i.indpred IS NULL AND a.attname = geometry_column
        ) THEN
            EXECUTE format('CREATE INDEX ON %s USING gist (%I @postgis@.gist_geometry_ops_2d)', reloid, geometry_column);
        END IF;
    END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION cartodb._CDB_DropTriggers(reloid regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    trigger_name name;
BEGIN
    FOREACH trigger_name IN ARRAY
        '{track_updates,update_the_geom_webmercator_trigger,test_quota,test_quota_per_row}'::name[]
    LOOP
        EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', trigger_name, reloid);
    END LOOP;
END
$$;

-- Dice are thrown and NULLs seen in WHEN, which costs a row far less than a call of the function.
CREATE OR REPLACE FUNCTION cartodb._CDB_AddTriggers(
    schema_name text, reloid regclass, only_tracking boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER track_updates AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s '
                   'FOR EACH STATEMENT EXECUTE FUNCTION cartodb._CDB_TableMetadata_Trigger()', reloid);
    EXECUTE format('CREATE TRIGGER test_quota BEFORE INSERT OR UPDATE ON %s FOR EACH STATEMENT '
                   'WHEN (random() < 0.1) EXECUTE FUNCTION cartodb.CDB_CheckQuota(''1'', ''-1'', %L)',
                   reloid, schema_name);
    EXECUTE format('CREATE TRIGGER test_quota_per_row BEFORE INSERT OR UPDATE ON %s FOR EACH ROW '
                   'WHEN (random() < 0.001) EXECUTE FUNCTION cartodb.CDB_CheckQuota(''1'', ''-1'', %L)',
                   reloid, schema_name);
    IF NOT only_tracking THEN
        EXECUTE format('CREATE TRIGGER update_the_geom_webmercator_trigger '
                       'BEFORE INSERT OR UPDATE OF the_geom ON %s FOR EACH ROW '
                       'WHEN (NEW.the_geom IS NOT NULL OR NEW.the_geom_webmercator IS NOT NULL) '
                       'EXECUTE FUNCTION cartodb._CDB_Update_The_Geom_Webmercator()', reloid);
    END IF;
END
$$;
