-- SQL of the two geometry columns of a rewritten table, and the columns that they use up.
CREATE OR REPLACE FUNCTION cartodb._CDB_GeometrySelect(
    reloid regclass, OUT lonlat text, OUT mercator text, OUT used name[])
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    source record;
    good record;
BEGIN
    used := '{the_geom,the_geom_webmercator}';
    SELECT * INTO source FROM cartodb._CDB_GeometryColumns(reloid) g
     ORDER BY g.name = 'the_geom' AND g.srid = 4326 DESC,
              g.name = 'the_geom_webmercator' AND g.srid = 3857 DESC,
              g.name = 'the_geom' DESC, g.name = 'the_geom_webmercator' DESC LIMIT 1;
    IF NOT FOUND THEN
        lonlat := 'NULL::@postgis@.geometry(Geometry,4326)';
        mercator := 'NULL::@postgis@.geometry(Geometry,3857)';
        RETURN;
    END IF;
    used := used || source.name;
    lonlat := format('(%s)::@postgis@.geometry(Geometry%s,4326)',
        CASE WHEN source.srid = 4326 THEN quote_ident(source.name)
             ELSE cartodb._CDB_ToLonLat(CASE WHEN source.dims <> '' THEN quote_ident(source.name)
                                        ELSE format('@postgis@.ST_Force2D(%I)', source.name) END) END,
        source.dims);
    SELECT * INTO good FROM cartodb._CDB_GeometryColumns(reloid) g
     WHERE g.name = 'the_geom_webmercator' AND g.srid = 3857;
    IF FOUND THEN
        mercator := format('the_geom_webmercator::@postgis@.geometry(Geometry%s,3857)', good.dims);
    ELSE
        mercator := format('cartodb.CDB_TransformToWebmercator(%s)::@postgis@.geometry(Geometry%s,3857)',
                           lonlat, source.dims);
    END IF;
END
$$;

-- Copies the table in CARTO's column order, and gives the copy the table's name, owner and grants.
CREATE OR REPLACE FUNCTION cartodb._CDB_Rewrite(schema_name text, reloid regclass, has_key boolean)
RETURNS regclass
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old pg_class%ROWTYPE;
    owner name;
    geometries record := cartodb._CDB_GeometrySelect(reloid);
    rest text;
    copy_name text;
    result regclass;
    allowed record;
BEGIN
    SELECT * INTO old FROM pg_class WHERE oid = reloid;
    SELECT rolname INTO owner FROM pg_roles WHERE oid = old.relowner;
    SELECT string_agg(', ' || quote_ident(attname), '' ORDER BY attnum) INTO rest FROM pg_attribute
     WHERE attrelid = reloid AND attnum > 0 AND NOT attisdropped
       AND attname <> 'cartodb_id' AND attname <> ALL (geometries.used);
    copy_name := cartodb._CDB_FreeName(schema_name, '_cdb_rewrite_' || reloid::oid);
    EXECUTE format('CREATE %s TABLE %I.%I AS SELECT %s AS cartodb_id, %s AS the_geom, '
                   '%s AS the_geom_webmercator%s FROM %s',
                   CASE old.relpersistence WHEN 'u' THEN 'UNLOGGED' ELSE '' END, schema_name, copy_name,
                   CASE WHEN has_key THEN 'cartodb_id' ELSE 'row_number() OVER ()' END,
                   geometries.lonlat, geometries.mercator, rest, reloid);
    result := format('%I.%I', schema_name, copy_name)::regclass;
    EXECUTE format('DROP TABLE %s', reloid);
    EXECUTE format('ALTER TABLE %s RENAME TO %I', result, old.relname);
    EXECUTE format('ALTER TABLE %s ALTER COLUMN cartodb_id SET NOT NULL', result);
    PERFORM cartodb._CDB_GiveSequence(schema_name, old.relname, result);
    IF owner <> CURRENT_USER THEN
        EXECUTE format('ALTER TABLE %s OWNER TO %I', result, owner);
    END IF;
    FOR allowed IN
        SELECT a.privilege_type, a.grantee, a.is_grantable FROM aclexplode(old.relacl) a WHERE a.grantee <> old.relowner
    LOOP
        EXECUTE format('GRANT %s ON %s TO %s%s', allowed.privilege_type, result,
                       CASE allowed.grantee WHEN 0 THEN 'PUBLIC' ELSE allowed.grantee::regrole::text END,
                       CASE WHEN allowed.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;
    RETURN result;
END
$$;

-- cartodb_id continues after its maximum.
CREATE OR REPLACE FUNCTION cartodb._CDB_GiveSequence(schema_name text, table_name text, reloid regclass)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    sequence_name text := format('%I.%I', schema_name,
        cartodb._CDB_FreeName(schema_name, left(table_name, 63 - length('_cartodb_id_seq')) || '_cartodb_id_seq'));
    top bigint;
BEGIN
    EXECUTE format('CREATE SEQUENCE %s OWNED BY %s.cartodb_id', sequence_name, reloid);
    EXECUTE format('ALTER TABLE %s ALTER COLUMN cartodb_id SET DEFAULT nextval(%L::regclass)',
                   reloid, sequence_name);
    EXECUTE format('SELECT max(cartodb_id) FROM %s', reloid) INTO top;
    IF top > 0 THEN
        PERFORM setval(sequence_name::regclass, top);
    END IF;
END
$$;
