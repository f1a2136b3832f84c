SET LOCAL lock_timeout = '5s';
--bun:split
-- How people prove who they are to the pages. All instants are machine time.
CREATE TABLE credentials (
    user_id      uuid PRIMARY KEY REFERENCES users ON DELETE RESTRICT,
    hash         text NOT NULL,
    changed_at   timestamptz NOT NULL,
    failed       integer NOT NULL DEFAULT 0,
    locked_until timestamptz
);
--bun:split
-- Browsers that somebody has logged in with. The token itself is kept nowhere.
CREATE TABLE sessions (
    id           bytea PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES users ON DELETE RESTRICT,
    created_at   timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL
);
--bun:split
CREATE INDEX sessions_user ON sessions (user_id);
