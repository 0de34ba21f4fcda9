-- The statement that would make a table again: its columns with types, defaults and NOT NULL, and its primary key.
-- Defaults that draw from a sequence are left out, since the sequence belongs to the original table.
CREATE FUNCTION generate_create_table_statement(source regclass, name text) RETURNS text
LANGUAGE sql STABLE AS $function$
    SELECT format(E'CREATE TABLE %I (\n%s\n)', name, string_agg('    ' || part, E',\n' ORDER BY place))
    FROM (
        SELECT a.attnum::int AS place,
               format('%I %s', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod))
               || CASE WHEN d.adbin IS NOT NULL AND a.attgenerated = ''
                            AND pg_catalog.pg_get_expr(d.adbin, d.adrelid) NOT LIKE 'nextval(%'
                       THEN ' DEFAULT ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid) ELSE '' END
               || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END AS part
        FROM pg_catalog.pg_attribute a
        LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = source AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT 10000, pg_catalog.pg_get_constraintdef(c.oid)
        FROM pg_catalog.pg_constraint c
        WHERE c.conrelid = source AND c.contype = 'p'
    ) AS parts
$function$
