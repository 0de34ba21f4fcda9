-- A name in the schema that no relation has: the base, then base_1, base_2 ..., within 63 bytes.
CREATE OR REPLACE FUNCTION cartodb._CDB_FreeName(schema_name text, base text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    candidate text := base::name;
    suffix text;
    n int := 0;
BEGIN
    WHILE EXISTS (SELECT 1 FROM pg_class WHERE relname = candidate
                     AND relnamespace = schema_name::regnamespace::oid) LOOP
        n := n + 1;
        suffix := '_' || n;
        candidate := left(base, 63 - length(suffix));
        WHILE octet_length(candidate) > 63 - length(suffix) LOOP
            candidate := left(candidate, -1);
        END LOOP;
        candidate := candidate || suffix;
    END LOOP;
    RETURN candidate;
END
$$;

-- A column name that the table does not have: base_1, base_2 ...
CREATE OR REPLACE FUNCTION cartodb._CDB_FreeColumn(reloid regclass, base text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%s_%s', base, n) FROM generate_series(1, 1600) n
     WHERE NOT EXISTS (SELECT 1 FROM pg_attribute
                        WHERE attrelid = reloid AND attname = format('%s_%s', base, n))
     ORDER BY n LIMIT 1;
$$;

-- The column of a primary key of one integer, if the table has such a key.
CREATE OR REPLACE FUNCTION cartodb._CDB_IntegerKey(reloid regclass) RETURNS name
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.attname FROM pg_index i
      JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
     WHERE i.indrelid = reloid AND i.indisprimary AND i.indnkeyatts = 1
       AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype);
$$;

-- Whether cartodb_id numbers new rows by itself, from a sequence of its own.
CREATE OR REPLACE FUNCTION cartodb._CDB_KeyHasSequence(reloid regclass) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT 1 FROM pg_attribute a
         WHERE a.attrelid = reloid AND a.attname = 'cartodb_id' AND NOT a.attisdropped
           AND a.attgenerated = '' AND (a.atthasdef OR a.attidentity <> '')
           AND pg_get_serial_sequence(reloid::text, a.attname::text) IS NOT NULL);
$$;

-- Settles cartodb_id: kept, cast, renamed from the integer key, or absent (false: to be made).
CREATE OR REPLACE FUNCTION cartodb._CDB_PrepareKey(reloid regclass) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    key_type regtype;
    other name;
    bad boolean;
BEGIN
    SELECT atttypid INTO key_type FROM pg_attribute
     WHERE attrelid = reloid AND attname = 'cartodb_id' AND attnum > 0 AND NOT attisdropped;
    IF key_type IS NULL THEN
        other := cartodb._CDB_IntegerKey(reloid);
        IF other IS NULL THEN
            RETURN false;
        END IF;
        EXECUTE format('ALTER TABLE %s RENAME COLUMN %I TO cartodb_id', reloid, other);
        RETURN true;
    END IF;
    IF key_type NOT IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) THEN
        BEGIN
            EXECUTE format('ALTER TABLE %s ALTER COLUMN cartodb_id DROP DEFAULT, '
                           'ALTER COLUMN cartodb_id TYPE integer USING cartodb_id::text::integer', reloid);
        EXCEPTION WHEN data_exception THEN
            RAISE EXCEPTION 'invalid cartodb_id: %', SQLERRM USING ERRCODE = 'invalid_text_representation';
        END;
    END IF;
    IF cartodb._CDB_IntegerKey(reloid) IS DISTINCT FROM 'cartodb_id' THEN
        EXECUTE format('SELECT count(*) <> count(DISTINCT cartodb_id) FROM %s', reloid) INTO bad;
        IF bad THEN
            RAISE EXCEPTION 'invalid cartodb_id: it has duplicates or nulls'
                USING ERRCODE = 'unique_violation';
        END IF;
    END IF;
    RETURN true;
END
$$;
