-- Datasets that follow a source. Each run is an import; what it ends with is noted here in the same transaction.
CREATE TABLE carto_like.synchronizations (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    account_id uuid NOT NULL REFERENCES carto_like.users (id) ON DELETE CASCADE,
    -- Null before the first import has made it; without it there is nothing left that could follow.
    dataset_id uuid REFERENCES carto_like.datasets (id) ON DELETE CASCADE,
    import_id uuid,          -- the present run, or the last one
    data_type text NOT NULL,
    source jsonb NOT NULL,   -- as that of an import
    options jsonb NOT NULL,  -- as those of an import
    seconds int NOT NULL,    -- between two runs
    state text NOT NULL CHECK (state IN ('created', 'queued', 'syncing', 'success', 'failure')),
    run_at timestamptz NOT NULL,
    ran_at timestamptz NOT NULL,
    retried_times int NOT NULL DEFAULT 0,
    error_code int,
    error_message text,
    -- Of the data that the dataset holds.
    etag text,
    modified_at timestamptz,
    digest text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX synchronizations_account_id_idx ON carto_like.synchronizations (account_id, created_at);
CREATE INDEX synchronizations_dataset_id_idx ON carto_like.synchronizations (dataset_id);
CREATE INDEX synchronizations_import_id_idx ON carto_like.synchronizations (import_id);
CREATE INDEX synchronizations_run_at_idx ON carto_like.synchronizations (run_at) WHERE state IN ('success', 'failure');

ALTER TABLE carto_like.imports
    ADD COLUMN synchronization_id uuid REFERENCES carto_like.synchronizations (id) ON DELETE SET NULL,
    -- What the source said of its data: etag, modified_at, digest.
    ADD COLUMN seen jsonb;

CREATE INDEX imports_synchronization_id_idx ON carto_like.imports (synchronization_id);
