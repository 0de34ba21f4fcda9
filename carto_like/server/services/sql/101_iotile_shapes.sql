-- How streams and numbers are told; the texts of JSON are made here, as a page holds thousands of them.

-- A number of 64 bits as so many groups of four hex digits.
CREATE FUNCTION carto_like.iotile_groups(number bigint, digits int) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURNS NULL ON NULL INPUT
RETURN rtrim(regexp_replace(right(lpad(to_hex(number), 16, '0'), digits), '(....)', '\1-', 'g'), '-');

CREATE FUNCTION carto_like.iotile_stream_slug(device bigint, variable bigint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURNS NULL ON NULL INPUT
RETURN 's--' || carto_like.iotile_groups(variable >> 16, 8) || '--' || carto_like.iotile_groups(device, 16)
    || '--' || carto_like.iotile_groups(variable, 4);

-- JSON of a number that has a fraction or could have one: 10.0 stays a float wherever it is read.
CREATE FUNCTION carto_like.iotile_json(number float8) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN abs(number) < 1e15
            THEN CASE WHEN number = trunc(number) THEN number::text || '.0' ELSE number::text END
            WHEN number IS NULL OR number IN ('NaN', 'Infinity', '-Infinity') THEN 'null'
            ELSE number::text END;

-- The platform's own sessions have UTC, and seconds are what is told: to_char takes five times as long.
CREATE FUNCTION carto_like.iotile_json(moment timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN left(to_json(moment)::text, 20) || 'Z"';

-- The factors of every stream that has a record: own ones, else the variable's, and those of its units.
CREATE VIEW carto_like.iotile_factors AS
SELECT s.device, s.variable, s.enabled,
       coalesce(s.multiplication_factor, v.multiplication_factor, 1)::float8 AS sm,
       coalesce(s.division_factor, v.division_factor, 1)::float8 AS sd,
       coalesce(s."offset", v."offset", 0) AS so,
       coalesce(i.m, 1)::float8 AS im, coalesce(i.d, 1)::float8 AS id, coalesce(i.o, 0) AS io,
       coalesce(o.m, 1)::float8 AS om, coalesce(o.d, 1)::float8 AS od, coalesce(o.o, 0) AS oo,
       coalesce(o.decimal_places, v.decimal_places, 0) AS places
FROM carto_like.iotile_stream s
LEFT JOIN carto_like.iotile_variable v ON v.variable = s.variable
LEFT JOIN carto_like.iotile_vartype_unit i ON i.slug = coalesce(s.input_unit, v.input_unit)
LEFT JOIN carto_like.iotile_vartype_unit o ON o.slug = coalesce(s.output_unit, v.output_unit);
