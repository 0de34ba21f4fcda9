-- Who this installation is. The id is part of the name of every role it makes, since roles belong to the
-- whole cluster and another installation may live in the next database.
CREATE TABLE carto_like.installation (
    id text PRIMARY KEY DEFAULT left(replace(gen_random_uuid()::text, '-', ''), 6),
    -- Tells a wrong instance secret before it does harm; says nothing about the right one.
    secret_fingerprint text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE carto_like.users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL UNIQUE,
    role name NOT NULL UNIQUE,
    public_role name NOT NULL UNIQUE,
    email text,
    quota_bytes bigint NOT NULL DEFAULT 0 CHECK (quota_bytes >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE carto_like.api_keys (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES carto_like.users (id) ON DELETE CASCADE,
    name text NOT NULL,
    type text NOT NULL CHECK (type IN ('master', 'default', 'regular')),
    role name NOT NULL,
    apis text[] NOT NULL DEFAULT '{sql,maps}',
    token_index bytea NOT NULL,
    token_encrypted bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (user_id, name),
    UNIQUE (user_id, token_index)
);

-- A token that is not this account's may be another's.
CREATE INDEX api_keys_token_index_idx ON carto_like.api_keys (token_index);
CREATE UNIQUE INDEX api_keys_one_master_idx ON carto_like.api_keys (user_id) WHERE type = 'master';
CREATE UNIQUE INDEX api_keys_one_default_idx ON carto_like.api_keys (user_id) WHERE type = 'default';
