CREATE OR REPLACE FUNCTION cartodb.CDB_StringToDate(input character varying) RETURNS timestamp
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF input ~ '^\s*-?[0-9]+(\.[0-9]+)?\s*$' THEN
        RETURN to_timestamp(input::float8) AT TIME ZONE 'UTC';
    END IF;
    RETURN input::timestamp;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION cartodb.CDB_DateToNumber(input timestamp) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN pg_catalog.date_part('epoch', input);

CREATE OR REPLACE FUNCTION cartodb.CDB_DateToNumber(input timestamptz) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN pg_catalog.date_part('epoch', input);
