-- Templates of named maps. They hold tokens and queries, so they are stored encrypted.
CREATE TABLE carto_like.map_templates (
    account_id uuid NOT NULL REFERENCES carto_like.users (id) ON DELETE CASCADE,
    name text NOT NULL,
    content bytea NOT NULL,
    hash text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, name)
);

-- Maps that were instantiated; one that nobody looks at is forgotten.
CREATE TABLE carto_like.map_instances (
    account_id uuid NOT NULL REFERENCES carto_like.users (id) ON DELETE CASCADE,
    id text NOT NULL,
    content bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, id)
);

CREATE INDEX map_instances_expires_idx ON carto_like.map_instances (expires_at);
