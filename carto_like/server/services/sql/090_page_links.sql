-- One-time links to an account's pages. The code itself is kept nowhere but with whoever asked for it.
CREATE TABLE carto_like.page_links (
    code_index bytea PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES carto_like.users (id) ON DELETE CASCADE,
    page text NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX page_links_account_idx ON carto_like.page_links (account_id);
