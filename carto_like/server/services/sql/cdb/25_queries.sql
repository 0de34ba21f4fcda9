-- Statements of a text: cut at semicolons that are in no literal, quoted name, dollar quote or comment.
CREATE OR REPLACE FUNCTION cartodb.CDB_QueryStatements(query text) RETURNS SETOF text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $fn$
DECLARE
    -- A dollar tag is matched without its last dollar, which may begin the next tag.
    pieces text[] := ARRAY(SELECT m[1] FROM regexp_matches(query,
        $re$(\$(?:[[:alpha:]_][[:alnum:]_]*)?(?=\$)|\\.|--|/\*|\*/|\n|[^'"$;/*\\\n-]+|.)$re$, 'g') m);
    piece text;
    before text := '';
    statement text := '';
    closing text := '';  -- what ends the construct we are in, '' outside of all
    depth int := 0;
    escapes boolean := false;
    i int := 0;
BEGIN
    WHILE i < cardinality(pieces) LOOP
        i := i + 1;
        piece := pieces[i];
        IF closing = '' AND piece = ';' THEN
            IF btrim(statement, E' \t\r\n') <> '' THEN
                RETURN NEXT btrim(statement, E' \t\r\n');
            END IF;
            statement := '';
            before := piece;
            CONTINUE;
        END IF;
        IF closing = '' THEN
            IF piece IN ('''', '"') THEN
                closing := piece;
                escapes := piece = '''' AND before ~ '(^|[^[:alnum:]_$])[eE]$';
            ELSIF piece = '--' THEN
                closing := E'\n';
            ELSIF piece = '/*' THEN
                closing := '*/';
                depth := 1;
            ELSIF starts_with(piece, '$') AND starts_with(COALESCE(pieces[i + 1], ''), '$')
                AND before !~ '[[:alnum:]_$]$' THEN
                closing := piece || '$';
                statement := statement || piece;
                i := i + 1;
                piece := pieces[i];
            END IF;
        ELSIF closing = '*/' THEN
            depth := depth + CASE piece WHEN '/*' THEN 1 WHEN '*/' THEN -1 ELSE 0 END;
            IF depth = 0 THEN
                closing := '';
            END IF;
        ELSIF starts_with(closing, '$') THEN
            IF piece || '$' = closing AND starts_with(COALESCE(pieces[i + 1], ''), '$') THEN
                closing := '';
                statement := statement || piece;
                i := i + 1;
                piece := pieces[i];
            END IF;
        ELSIF starts_with(piece, E'\\') AND NOT escapes THEN
            IF right(piece, 1) = closing THEN
                closing := '';
            END IF;
        ELSIF piece = closing THEN
            closing := '';
        END IF;
        statement := statement || piece;
        before := piece;
    END LOOP;
    IF btrim(statement, E' \t\r\n') <> '' THEN
        RETURN NEXT btrim(statement, E' \t\r\n');
    END IF;
END
$fn$;

-- The plan of one statement as JSON, or NULL when the statement has none (most DDL). The loop makes a
-- cursor, which takes exactly one statement: text that hides a second one is refused, not run.
-- The caller's search_path must hold, hence none is set.
CREATE OR REPLACE FUNCTION cartodb._CDB_Plan(statement text) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    bare text := pg_catalog.regexp_replace(
        statement, '^(\s|\(|--[^\n]*(\n|$)|/\*([^*]|\*+[^*/])*\*+/)+', '');
    word text := pg_catalog.lower(pg_catalog."substring"(bare, '^[[:alpha:]]+'));
    answer json;
BEGIN
    IF word IS NULL OR word OPERATOR(pg_catalog.<>) ALL (ARRAY[
            'select', 'with', 'values', 'table', 'insert', 'update', 'delete', 'merge', 'create', 'declare']) THEN
        RETURN NULL;
    END IF;
    FOR answer IN EXECUTE pg_catalog.concat('EXPLAIN (VERBOSE, FORMAT JSON) ', statement) LOOP
        RETURN answer::pg_catalog.jsonb;
    END LOOP;
    RETURN NULL;
EXCEPTION WHEN syntax_error THEN
    IF word OPERATOR(pg_catalog.=) 'create' THEN
        RETURN NULL;
    END IF;
    RAISE;
END
$$;

CREATE OR REPLACE FUNCTION cartodb.CDB_QueryTablesText(query text) RETURNS text[]
LANGUAGE sql AS $$
    SELECT COALESCE(pg_catalog.array_agg(DISTINCT pg_catalog.format('%I.%I', node ->> 'Schema', node ->> 'Relation Name')
                                         ORDER BY pg_catalog.format('%I.%I', node ->> 'Schema', node ->> 'Relation Name')),
                    '{}'::pg_catalog.text[])
      FROM cartodb.CDB_QueryStatements(query) s,
           pg_catalog.jsonb_path_query(cartodb._CDB_Plan(s), 'strict $.**') node
     WHERE pg_catalog.jsonb_typeof(node) OPERATOR(pg_catalog.=) 'object'
       AND node OPERATOR(pg_catalog.?) 'Relation Name' AND node OPERATOR(pg_catalog.?) 'Schema';
$$;

CREATE OR REPLACE FUNCTION cartodb.CDB_QueryTables(query text) RETURNS name[]
LANGUAGE sql AS $$ SELECT cartodb.CDB_QueryTablesText(query)::pg_catalog.name[]; $$;

CREATE OR REPLACE FUNCTION cartodb.CDB_EstimateRowCount(query text) RETURNS numeric
LANGUAGE plpgsql AS $$
DECLARE
    unknown text;
BEGIN
    FOR unknown IN
        SELECT c.oid::pg_catalog.regclass::pg_catalog.text
          FROM pg_catalog.unnest(cartodb.CDB_QueryTablesText(query)) t
          JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) t::pg_catalog.regclass::pg_catalog.oid
         WHERE c.reltuples OPERATOR(pg_catalog.<) 0 AND cartodb._CDB_Owns(c.oid, CURRENT_USER)
    LOOP
        EXECUTE pg_catalog.concat('ANALYZE ', unknown);
    END LOOP;
    RETURN (cartodb._CDB_Plan(query) OPERATOR(pg_catalog.#>>) '{0,Plan,Plan Rows}')::pg_catalog.numeric;
END
$$;
