-- Makes one table equal to another by cartodb_id: what is gone is deleted, what is new inserted, what
-- differs updated. Values are compared as text, since not every type knows equality.
CREATE OR REPLACE FUNCTION cartodb.CDB_SyncTable(
    src_table regclass, dst_schema regnamespace, dst_table name, skip_cols name[] DEFAULT '{}') RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    dst text := format('%s.%I', dst_schema, dst_table);
    cols text;
    values_of text;
    assignments text;
    as_text text;
    n bigint;
BEGIN
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum),
           string_agg(format('s.%I', attname), ', ' ORDER BY attnum),
           string_agg(format('%I = s.%I', attname, attname), ', ' ORDER BY attnum),
           string_agg(format('s.%I::text IS DISTINCT FROM d.%I::text', attname, attname), ' OR ' ORDER BY attnum)
      INTO cols, values_of, assignments, as_text
      FROM pg_attribute WHERE attrelid = src_table AND attnum > 0 AND NOT attisdropped
       AND attname <> ALL (skip_cols);
    IF to_regclass(dst) IS NULL THEN
        EXECUTE format('CREATE TABLE %s AS SELECT %s FROM %s s', dst, values_of, src_table);
        GET DIAGNOSTICS n = ROW_COUNT;
        EXECUTE format('ALTER TABLE %s ADD PRIMARY KEY (cartodb_id)', dst);
        RAISE NOTICE 'INSERTED % row(s)', n;
        RETURN;
    END IF;
    EXECUTE format('DELETE FROM %s d WHERE NOT EXISTS (SELECT 1 FROM %s s WHERE s.cartodb_id = d.cartodb_id)',
                   dst, src_table);
    GET DIAGNOSTICS n = ROW_COUNT;
    RAISE NOTICE 'DELETED % row(s)', n;
    EXECUTE format('INSERT INTO %s (%s) SELECT %s FROM %s s WHERE NOT EXISTS '
                   '(SELECT 1 FROM %s d WHERE d.cartodb_id = s.cartodb_id)', dst, cols, values_of, src_table, dst);
    GET DIAGNOSTICS n = ROW_COUNT;
    RAISE NOTICE 'INSERTED % row(s)', n;
    EXECUTE format('UPDATE %s d SET %s FROM %s s WHERE s.cartodb_id = d.cartodb_id AND (%s)',
                   dst, assignments, src_table, as_text);
    GET DIAGNOSTICS n = ROW_COUNT;
    RAISE NOTICE 'MODIFIED % row(s)', n;
END
$$;
