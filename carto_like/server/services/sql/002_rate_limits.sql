-- When each account's next request of a kind would be on time, shared by all servers. Losing it in a crash
-- costs one burst, so it is not logged.
CREATE UNLOGGED TABLE carto_like.rate_limits (
    account_id uuid NOT NULL,
    kind text NOT NULL,
    position int NOT NULL,
    due float8 NOT NULL,
    PRIMARY KEY (account_id, kind, position)
) WITH (fillfactor = 50);
