-- What lies outside of the world as web maps know it is cut off; nothing left is NULL.
CREATE OR REPLACE FUNCTION cartodb._CDB_ClipToWebmercator(geom @postgis@.geometry) RETURNS @postgis@.geometry
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    world CONSTANT @postgis@.geometry := @postgis@.ST_MakeEnvelope(-180, -89, 180, 89, 4326);
    clipped @postgis@.geometry := geom;
    parts @postgis@.geometry[];
BEGIN
    IF geom IS NULL OR @postgis@.ST_SRID(geom) = 3857 THEN
        RETURN geom;
    END IF;
    IF @postgis@.ST_IsEmpty(geom) THEN
        RETURN NULL;
    END IF;
    IF @postgis@.ST_SRID(geom) <> 4326 THEN
        clipped := @postgis@.ST_Transform(geom, 4326);
    END IF;
    IF clipped OPERATOR(@postgis@.@) world THEN
        RETURN @postgis@.ST_Transform(clipped, 3857);
    END IF;
    IF @postgis@.GeometryType(geom) LIKE 'GEOMETRYCOLLECTION%' THEN
        SELECT array_agg(p) INTO parts FROM (
            SELECT cartodb._CDB_ClipToWebmercator(d.geom) AS p FROM @postgis@.ST_Dump(clipped) d) s
         WHERE p IS NOT NULL;
        RETURN @postgis@.ST_ForceCollection(@postgis@.ST_Collect(parts));
    END IF;
    IF NOT @postgis@.ST_IsValid(clipped) THEN
        clipped := @postgis@.ST_MakeValid(clipped);
    END IF;
    clipped := @postgis@.ST_CollectionExtract(
        @postgis@.ST_Intersection(clipped, world), @postgis@.ST_Dimension(geom) + 1);
    IF clipped IS NULL OR @postgis@.ST_IsEmpty(clipped) THEN
        RETURN NULL;
    END IF;
    IF @postgis@.GeometryType(geom) LIKE 'MULTI%' THEN
        clipped := @postgis@.ST_Multi(clipped);
    END IF;
    RETURN @postgis@.ST_Transform(clipped, 3857);
END
$$;

-- Ordinary geometries take a path that the planner can inline: every written row comes through here.
-- An empty geometry's box lies in every box, hence the last test.
CREATE OR REPLACE FUNCTION cartodb.CDB_TransformToWebmercator(geom @postgis@.geometry)
RETURNS @postgis@.geometry
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN @postgis@.ST_SRID(geom) OPERATOR(pg_catalog.=) 4326
         AND geom OPERATOR(@postgis@.@)
             'SRID=4326;POLYGON((-180 -89,-180 89,180 89,180 -89,-180 -89))'::@postgis@.geometry
         AND NOT @postgis@.ST_IsEmpty(geom)
    THEN @postgis@.ST_Transform(geom, 3857)
    ELSE cartodb._CDB_ClipToWebmercator(geom)
END;

-- Only what is written to the_geom counts; a value given for the_geom_webmercator is replaced.
CREATE OR REPLACE FUNCTION cartodb._CDB_Update_The_Geom_Webmercator() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.the_geom_webmercator := cartodb.CDB_TransformToWebmercator(NEW.the_geom);
    RETURN NEW;
END
$$;
