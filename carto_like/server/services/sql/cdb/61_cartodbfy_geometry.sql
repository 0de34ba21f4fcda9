-- The geometry columns of a table in order, with the SRID and dimensions that their types promise.
CREATE OR REPLACE FUNCTION cartodb._CDB_GeometryColumns(reloid regclass)
RETURNS TABLE (name name, srid integer, dims text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT attname, CASE WHEN atttypmod < 0 THEN 0 ELSE @postgis@.postgis_typmod_srid(atttypmod) END,
           CASE WHEN atttypmod < 0 THEN ''
                ELSE substring(@postgis@.postgis_typmod_type(atttypmod) FROM 'ZM$|Z$|M$') END
      FROM pg_attribute
     WHERE attrelid = reloid AND attnum > 0 AND NOT attisdropped
       AND atttypid = '@postgis@.geometry'::regtype
     ORDER BY attnum;
$$;

-- SQL for an expression's geometry in 4326; SRID 0 is taken for 4326.
CREATE OR REPLACE FUNCTION cartodb._CDB_ToLonLat(expression text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('CASE @postgis@.ST_SRID(%1$s) WHEN 4326 THEN %1$s '
                  'WHEN 0 THEN @postgis@.ST_SetSRID(%1$s, 4326) '
                  'ELSE @postgis@.ST_Transform(%1$s, 4326) END', expression);
$$;

-- Text under a standard name becomes geometry if all of it parses; whatever else is in the way of a
-- standard name is renamed.
CREATE OR REPLACE FUNCTION cartodb._CDB_ClearGeometryName(reloid regclass, column_name name, target_srid integer)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_type oid;
    parsed text := format('(NULLIF(%I::text, '''')::@postgis@.geometry)', column_name);
    is_text boolean;
BEGIN
    SELECT atttypid INTO found_type FROM pg_attribute
     WHERE attrelid = reloid AND attname = column_name AND attnum > 0 AND NOT attisdropped;
    IF found_type IS NULL OR found_type = '@postgis@.geometry'::regtype THEN
        RETURN;
    END IF;
    is_text := found_type IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype);
    IF is_text AND target_srid = 4326 THEN
        BEGIN
            EXECUTE format('SELECT bool_and(@postgis@.ST_SRID(%s) >= 0) FROM %s', parsed, reloid);
            EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT, '
                           'ALTER COLUMN %I TYPE @postgis@.geometry(Geometry,4326) USING %s',
                           reloid, column_name, column_name,
                           format('@postgis@.ST_Force2D(%s)', cartodb._CDB_ToLonLat(parsed)));
            RETURN;
        EXCEPTION WHEN data_exception OR internal_error THEN
            NULL;  -- not geometry: kept as it is, under another name
        END;
    END IF;
    EXECUTE format('ALTER TABLE %s RENAME COLUMN %I TO %I', reloid, column_name,
                   cartodb._CDB_FreeColumn(reloid, column_name));
END
$$;

-- Gives the column that serves as a standard geometry its name. A misfit under that name makes way: it
-- is dropped, the good column holds the data.
CREATE OR REPLACE FUNCTION cartodb._CDB_NameGeometry(reloid regclass, column_name name, target_srid integer)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    candidate name;
BEGIN
    SELECT g.name INTO candidate FROM cartodb._CDB_GeometryColumns(reloid) g
     WHERE g.srid = target_srid AND (g.name = column_name OR g.name NOT IN ('the_geom', 'the_geom_webmercator'))
     ORDER BY g.name = column_name DESC LIMIT 1;
    IF candidate IS NULL OR candidate = column_name THEN
        RETURN;
    END IF;
    IF EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = reloid AND attname = column_name) THEN
        EXECUTE format('ALTER TABLE %s DROP COLUMN %I', reloid, column_name);
    END IF;
    EXECUTE format('ALTER TABLE %s RENAME COLUMN %I TO %I', reloid, candidate, column_name);
END
$$;
