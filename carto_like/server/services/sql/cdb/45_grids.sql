-- A hexagon with a corner to the east of its centre.
CREATE OR REPLACE FUNCTION cartodb.CDB_MakeHexagon(center @postgis@.geometry, radius float8)
RETURNS @postgis@.geometry
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT @postgis@.ST_SetSRID(@postgis@.ST_MakePolygon(@postgis@.ST_MakeLine(ARRAY(
               SELECT @postgis@.ST_MakePoint(
                   @postgis@.ST_X(center) + radius * cosd(60.0 * (corner % 6)),
                   @postgis@.ST_Y(center) + radius * sind(60.0 * (corner % 6)))
                 FROM generate_series(0, 6) corner ORDER BY corner))), @postgis@.ST_SRID(center));
$$;

CREATE OR REPLACE FUNCTION cartodb._CDB_CheckCells(cells float8, maxcells integer) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF cells OPERATOR(pg_catalog.>) maxcells::pg_catalog.float8 THEN
        RAISE EXCEPTION 'The requested grid is too big to be rendered: % cells, at most % are allowed',
            pg_catalog.round(cells), maxcells;
    END IF;
END
$$;

-- Columns of flat-topped hexagons, 1.5 sides apart; every second one is half a cell higher.
CREATE OR REPLACE FUNCTION cartodb.CDB_HexagonGrid(
    ext @postgis@.geometry, side float8, origin @postgis@.geometry DEFAULT NULL, maxcells integer DEFAULT 262144)
RETURNS SETOF @postgis@.geometry
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wide float8 := side * 1.5;
    high float8 := side * sqrt(3.0::float8);
    x0 float8 := COALESCE(@postgis@.ST_X(origin), 0);
    y0 float8 := COALESCE(@postgis@.ST_Y(origin), 0);
    i0 bigint := floor((@postgis@.ST_XMin(ext) - side - x0) / wide);
    i1 bigint := ceil((@postgis@.ST_XMax(ext) + side - x0) / wide);
    j0 bigint := floor((@postgis@.ST_YMin(ext) - high - y0) / high);
    j1 bigint := ceil((@postgis@.ST_YMax(ext) + high - y0) / high);
BEGIN
    PERFORM cartodb._CDB_CheckCells((i1 - i0 + 1)::float8 * (j1 - j0 + 1), maxcells);
    RETURN QUERY
    SELECT cell FROM generate_series(i0, i1) i, generate_series(j0, j1) j,
           LATERAL (SELECT cartodb.CDB_MakeHexagon(@postgis@.ST_SetSRID(@postgis@.ST_MakePoint(
               x0 + i * wide, y0 + (j + 0.5 * abs(i % 2)) * high), @postgis@.ST_SRID(ext)), side)) h (cell)
     WHERE @postgis@.ST_Intersects(cell, ext);
END
$$;

CREATE OR REPLACE FUNCTION cartodb.CDB_RectangleGrid(
    ext @postgis@.geometry, width float8, height float8, origin @postgis@.geometry DEFAULT NULL,
    maxcells integer DEFAULT 262144)
RETURNS SETOF @postgis@.geometry
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    x0 float8 := COALESCE(@postgis@.ST_X(origin), 0) - width / 2;
    y0 float8 := COALESCE(@postgis@.ST_Y(origin), 0) - height / 2;
    i0 bigint := floor((@postgis@.ST_XMin(ext) - x0) / width);
    i1 bigint := floor((@postgis@.ST_XMax(ext) - x0) / width);
    j0 bigint := floor((@postgis@.ST_YMin(ext) - y0) / height);
    j1 bigint := floor((@postgis@.ST_YMax(ext) - y0) / height);
BEGIN
    PERFORM cartodb._CDB_CheckCells((i1 - i0 + 1)::float8 * (j1 - j0 + 1), maxcells);
    RETURN QUERY
    SELECT cell FROM generate_series(i0, i1) i, generate_series(j0, j1) j,
           LATERAL (SELECT @postgis@.ST_MakeEnvelope(x0 + i * width, y0 + j * height,
               x0 + (i + 1) * width, y0 + (j + 1) * height, @postgis@.ST_SRID(ext))) r (cell)
     WHERE @postgis@.ST_Intersects(cell, ext);
END
$$;
