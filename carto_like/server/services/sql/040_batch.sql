-- Batch jobs of the SQL API. "number" is their order; "turn" says which turn of a worker runs a job now, so that
-- one that was taken for dead cannot write over what was decided about it.
CREATE TABLE carto_like.batch_jobs (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    account_id uuid NOT NULL REFERENCES carto_like.users (id) ON DELETE CASCADE,
    number bigint GENERATED ALWAYS AS IDENTITY,
    role name NOT NULL,
    kind text NOT NULL CHECK (kind IN ('simple', 'multiple', 'fallback')),
    status text NOT NULL DEFAULT 'pending',
    fallback_status text,
    failed_reason text,
    items json NOT NULL,
    extras json NOT NULL,
    turn uuid,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX batch_jobs_account_idx ON carto_like.batch_jobs (account_id, number);
CREATE INDEX batch_jobs_turn_idx ON carto_like.batch_jobs (turn) WHERE turn IS NOT NULL;
CREATE INDEX batch_jobs_updated_idx ON carto_like.batch_jobs (updated_at);
