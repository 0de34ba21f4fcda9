CREATE OR REPLACE FUNCTION cartodb.CDB_QuantileBins(in_array numeric[], breaks integer) RETURNS numeric[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT percentile_disc(ARRAY(SELECT i::float8 / breaks FROM generate_series(1, breaks) i ORDER BY i))
           WITHIN GROUP (ORDER BY v)
      FROM unnest(in_array) v WHERE v IS NOT NULL;
$$;

CREATE OR REPLACE FUNCTION cartodb.CDB_EqualIntervalBins(in_array anyarray, breaks integer) RETURNS anyarray
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_agg((low + (high - low) * i / breaks) ORDER BY i)
      FROM (SELECT min(v) AS low, max(v) AS high FROM unnest(in_array) v) bounds, generate_series(1, breaks) i
     WHERE low IS NOT NULL;
$$;

-- Each break is the mean of what lies above the one before; the last class ends with the maximum.
CREATE OR REPLACE FUNCTION cartodb.CDB_HeadsTailsBins(in_array numeric[], breaks integer) RETURNS numeric[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result numeric[] := '{}';
    top numeric;
    middle numeric;
BEGIN
    SELECT max(v), avg(v) INTO top, middle FROM unnest(in_array) v;
    WHILE cardinality(result) < breaks - 1 AND middle < top LOOP
        result := result || middle;
        SELECT avg(v) INTO middle FROM unnest(in_array) v WHERE v > result[cardinality(result)];
    END LOOP;
    RETURN CASE WHEN top IS NOT NULL THEN result || top END;
END
$$;

-- The values that stand for all of them: distinct ones with their counts, at most 300 for the cost of the
-- search below grows with their square.
CREATE OR REPLACE FUNCTION cartodb._CDB_Weighted(in_array numeric[], OUT vals float8[], OUT weights float8[])
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_agg(top ORDER BY top), array_agg(n::float8 ORDER BY top) FROM (
        SELECT max(v)::float8 AS top, sum(n) AS n FROM (
            SELECT v, n, (row_number() OVER (ORDER BY v) - 1) * 300 / greatest(300, count(*) OVER ()) AS bucket
              FROM (SELECT v, count(*) AS n FROM unnest(in_array) v WHERE v IS NOT NULL GROUP BY v) d) b
         GROUP BY bucket) t;
$$;

-- Natural breaks: the classes with the least squared deviation, found by dynamic programming. iterations
-- is accepted for callers' sake; the search is exact. invert returns where classes begin.
CREATE OR REPLACE FUNCTION cartodb.CDB_JenksBins(
    in_array numeric[], breaks integer, iterations integer DEFAULT 0, invert boolean DEFAULT false)
RETURNS numeric[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    points record := cartodb._CDB_Weighted(in_array);
    x float8[] := points.vals;
    w float8[] := points.weights;
    n int := COALESCE(cardinality(x), 0);
    k int := least(breaks, n);
    cost float8[] := '[0:0]={0}'::float8[] || array_fill('Infinity'::float8, ARRAY[n]);  -- by last value, from 0
    before float8[];
    starts int[] := array_fill(1, ARRAY[greatest(k, 1), greatest(n, 1)]);
    total float8;
    mean float8;
    spread float8;
    last int := n;
    result numeric[] := '{}';
BEGIN
    IF k < 1 THEN
        RETURN NULL;
    END IF;
    FOR class IN 1..k LOOP
        before := cost;
        cost := '[0:0]={Infinity}'::float8[] || array_fill('Infinity'::float8, ARRAY[n]);
        FOR stop IN class..n LOOP
            total := 0;
            mean := 0;
            spread := 0;
            FOR start IN REVERSE stop..class LOOP
                spread := spread + w[start] * total / (total + w[start]) * (x[start] - mean) ^ 2;
                total := total + w[start];
                mean := mean + w[start] * (x[start] - mean) / total;
                EXIT WHEN spread > cost[stop];
                IF spread + before[start - 1] < cost[stop] THEN
                    cost[stop] := spread + before[start - 1];
                    starts[class][stop] := start;
                END IF;
            END LOOP;
        END LOOP;
    END LOOP;
    FOR class IN REVERSE k..1 LOOP
        result := (CASE WHEN invert THEN x[starts[class][last]] ELSE x[last] END)::numeric || result;
        last := starts[class][last] - 1;
    END LOOP;
    RETURN result;
END
$$;
