-- Settings by key, for the platform alone.
CREATE TABLE IF NOT EXISTS cartodb.CDB_Conf (key text PRIMARY KEY, value json NOT NULL);

CREATE OR REPLACE FUNCTION cartodb.CDB_Conf_SetConf(key text, value json) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO cartodb.CDB_Conf AS c (key, value) VALUES ($1, $2)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value;
$$;

CREATE OR REPLACE FUNCTION cartodb.CDB_Conf_GetConf(key text) RETURNS json
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.value FROM cartodb.CDB_Conf c WHERE c.key = $1;
$$;

CREATE OR REPLACE FUNCTION cartodb.CDB_Conf_RemoveConf(key text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM cartodb.CDB_Conf c WHERE c.key = $1;
$$;

REVOKE ALL ON FUNCTION cartodb.CDB_Conf_SetConf(text, json), cartodb.CDB_Conf_GetConf(text),
    cartodb.CDB_Conf_RemoveConf(text) FROM PUBLIC;

-- The account of the role that logged in: what the platform noted for a key, or the schema a master owns.
CREATE OR REPLACE FUNCTION cartodb.CDB_Username() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT COALESCE(
        (SELECT c.value ->> 'username' FROM cartodb.CDB_Conf c WHERE c.key = 'api_keys_' || SESSION_USER),
        (SELECT q.schema::text FROM cartodb._CDB_Quotas q
           JOIN pg_namespace n ON n.nspname = q.schema
           JOIN pg_roles r ON r.oid = n.nspowner
          WHERE r.rolname = SESSION_USER LIMIT 1));
$$;
