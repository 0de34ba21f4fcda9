-- Users who belong together: one of them owns the organization, and he and its administrators manage the others.
CREATE TABLE carto_like.organizations (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL UNIQUE,
    -- An owner goes last, and his organization goes with him.
    owner_id uuid NOT NULL UNIQUE REFERENCES carto_like.users (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE carto_like.users
    ADD COLUMN organization_id uuid REFERENCES carto_like.organizations (id) ON DELETE SET NULL,
    ADD COLUMN org_admin boolean NOT NULL DEFAULT false,
    -- What users say about themselves, by the names that the API has for it; nothing here decides anything.
    ADD COLUMN details jsonb NOT NULL DEFAULT '{}';

CREATE INDEX users_organization_id_idx ON carto_like.users (organization_id);
