-- What the platform knows of a dataset beyond what the catalogs say. Name and privacy are not here: the
-- catalogs have them, and clients change them by SQL without asking.
CREATE TABLE carto_like.datasets (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    account_id uuid NOT NULL REFERENCES carto_like.users (id) ON DELETE CASCADE,
    table_id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    permission_id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    table_oid oid NOT NULL UNIQUE,
    table_name text NOT NULL,  -- as last seen, to know a table again that was rewritten under a new oid
    link boolean NOT NULL DEFAULT false,
    display_name text,
    title text,
    description text,
    license text,
    attributions text,
    source text,
    tags text[] NOT NULL DEFAULT '{}',
    locked boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- What reading the table showed, and the state of the table for which that is still true.
    seen_state text,
    seen_rows bigint,
    seen_geometry_types text[]
);

CREATE INDEX datasets_account_id_idx ON carto_like.datasets (account_id);
