CREATE OR REPLACE FUNCTION cartodb.CDB_LatLng(lat numeric, lng numeric) RETURNS @postgis@.geometry
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN @postgis@.ST_SetSRID(@postgis@.ST_MakePoint(lng::float8, lat::float8), 4326);

CREATE OR REPLACE FUNCTION cartodb.CDB_LatLng(lat float8, lng float8) RETURNS @postgis@.geometry
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN @postgis@.ST_SetSRID(@postgis@.ST_MakePoint(lng, lat), 4326);

CREATE OR REPLACE FUNCTION cartodb.CDB_XYZ_Resolution(z integer) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 6378137.0::float8 OPERATOR(pg_catalog.*) 2.0::float8 OPERATOR(pg_catalog.*) pg_catalog.pi()
    OPERATOR(pg_catalog./) 256.0::float8 OPERATOR(pg_catalog./) pg_catalog.power(2.0::float8, z::float8);

-- y grows to the south, as tiles are numbered.
CREATE OR REPLACE FUNCTION cartodb.CDB_XYZ_Extent(x integer, y integer, z integer)
RETURNS @postgis@.geometry
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT @postgis@.ST_MakeEnvelope(-half + x * side, half - (y + 1) * side,
                                     -half + (x + 1) * side, half - y * side, 3857)
      FROM (SELECT cartodb.CDB_XYZ_Resolution(0) * 128 AS half, cartodb.CDB_XYZ_Resolution(z) * 256 AS side) s;
$$;

CREATE OR REPLACE FUNCTION cartodb.CDB_ZoomFromScale(scaledenominator numeric) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN scaledenominator > 600000000 THEN NULL
        WHEN scaledenominator = 0 THEN 29
        ELSE least(29, round(log(2, 559082264.028 / scaledenominator)))::integer
    END;
$$;

-- A great circle that meets the date line is cut there, so that maps do not draw it across the world.
CREATE OR REPLACE FUNCTION cartodb.CDB_GreatCircle(
    start_point @postgis@.geometry, end_point @postgis@.geometry, max_segment_length numeric DEFAULT 100000)
RETURNS @postgis@.geometry
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    line @postgis@.geometry := @postgis@.ST_SetSRID(@postgis@.ST_Segmentize(
        @postgis@.ST_SetSRID(@postgis@.ST_MakeLine(start_point, end_point), 4326)::@postgis@.geography,
        max_segment_length::float8)::@postgis@.geometry, 4326);
    crosses boolean;
BEGIN
    SELECT bool_or(abs(@postgis@.ST_X(p.geom) - @postgis@.ST_X(@postgis@.ST_PointN(line, p.path[1] + 1))) > 180)
      INTO crosses FROM @postgis@.ST_DumpPoints(line) p;
    IF crosses THEN
        line := @postgis@.ST_WrapX(@postgis@.ST_ShiftLongitude(line), 180, -360);
    END IF;
    RETURN line;
END
$$;
