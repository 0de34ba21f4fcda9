-- What accounts asked to be imported, and what became of it.
CREATE TABLE carto_like.imports (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    account_id uuid NOT NULL REFERENCES carto_like.users (id) ON DELETE CASCADE,
    state text NOT NULL DEFAULT 'enqueued',
    data_type text NOT NULL,
    source jsonb NOT NULL,   -- where it comes from: file, url, sql or nothing
    options jsonb NOT NULL,  -- how it is to be imported
    display_name text,
    original_url text,
    attempts int NOT NULL DEFAULT 0,
    -- The table that a transaction is about to make. When it exists although nobody said so, the worker died
    -- after that transaction's end, and there is nothing left to load.
    planned_oid oid,
    planned_name text,
    error_code int,
    error_reason text,
    answer_status int,
    answer_reason text,
    table_id uuid,
    table_name text,
    tables_created_count int,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX imports_account_id_idx ON carto_like.imports (account_id, created_at);
